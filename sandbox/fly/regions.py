"""Where machines and volumes can be: the regions, their aliases, and how much still fits.

Source: https://fly.io/docs/reference/regions/
"""

from dataclasses import dataclass

from sandbox.fly.errors import FlyError, invalid


@dataclass(frozen=True)
class Region:
    """A region as the platform lists it."""

    code: str
    name: str
    geo_region: str
    latitude: float
    longitude: float
    gateway_available: bool = True
    requires_paid_plan: bool = False
    deprecated: bool = False


@dataclass
class Room:
    """How many machines and volumes a region takes, and how much memory the organization may use; None is no limit."""

    machines: int | None = None
    volumes: int | None = None
    quota_mb: int | None = None


_ROWS = [
    Region("ams", "Amsterdam, Netherlands", "europe", 52.37, 4.9),
    Region("arn", "Stockholm, Sweden", "europe", 59.65, 17.92),
    Region("bom", "Mumbai, India", "asia_pacific", 19.09, 72.87, requires_paid_plan=True),
    Region("cdg", "Paris, France", "europe", 48.86, 2.35),
    Region("dfw", "Dallas, Texas (US)", "north_america", 32.78, -96.81),
    Region("ewr", "Secaucus, NJ (US)", "north_america", 40.79, -74.06),
    Region("fra", "Frankfurt, Germany", "europe", 50.12, 8.64),
    Region("gru", "Sao Paulo, Brazil", "south_america", -23.55, -46.64, gateway_available=False),
    Region("iad", "Ashburn, Virginia (US)", "north_america", 39.02, -77.46),
    Region("jnb", "Johannesburg, South Africa", "africa", -26.2, 28.04, gateway_available=False),
    Region("lax", "Los Angeles, California (US)", "north_america", 33.94, -118.41),
    Region("lhr", "London, United Kingdom", "europe", 51.47, -0.45),
    Region("nrt", "Tokyo, Japan", "asia_pacific", 35.62, 139.75),
    Region("ord", "Chicago, Illinois (US)", "north_america", 41.89, -87.62),
    Region("sin", "Singapore, Singapore", "asia_pacific", 1.35, 103.82),
    Region("sjc", "San Jose, California (US)", "north_america", 37.36, -121.93),
    Region("syd", "Sydney, Australia", "asia_pacific", -33.94, 151.18),
    Region("yyz", "Toronto, Canada", "north_america", 43.68, -79.63),
]
REGIONS = {region.code: region for region in _ROWS}
DEFAULT = "iad"


def _within(*parts: str) -> tuple[str, ...]:
    return tuple(region.code for region in _ROWS if region.geo_region in parts)


_ALIASES = {
    "eu": _within("europe"),
    "na": _within("north_america"),
    "us": tuple(code for code in _within("north_america") if code != "yyz"),
    "usa": tuple(code for code in _within("north_america") if code != "yyz"),
    "sa": _within("south_america"),
    "apac": _within("asia_pacific"),
    "any": (DEFAULT, *(code for code in REGIONS if code != DEFAULT)),
}


def candidates(asked: str) -> list[str]:
    """Give the regions meant by a code, an alias or a comma list, in order. Raises FlyError."""
    found: list[str] = []
    for word in (part.strip() for part in (asked or DEFAULT).split(",")):
        codes = _ALIASES.get(word) or ((word,) if word in REGIONS else ())
        if not codes:
            raise invalid(f"region {word} not found")
        found += [code for code in codes if code not in found]
    return found


def single(asked: str) -> str:
    """Give the region of a code; aliases and lists are refused, as for volumes. Raises FlyError."""
    if asked not in REGIONS:
        raise invalid(f"region {asked} not found")
    return asked


def no_room_for_machine() -> FlyError:
    """Refuse a machine that fits nowhere."""
    text = "aborted: could not reserve resource for machine: insufficient memory available to fulfill request"
    return FlyError(409, text, code="insufficient_capacity")


def over_quota(*, organization: str, used_mb: int, region: str) -> FlyError:
    """Refuse a machine that is over what the organization may use in a region."""
    text = (
        f'organization "{organization}" is using {used_mb} MB of memory in {region} which is over the allowed quota. '
        "Please consider other regions."
    )
    return FlyError(403, text)
