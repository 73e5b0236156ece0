"""Fly's regions and which of them are near each other (https://fly.io/docs/reference/regions/)."""

import math

# Code: latitude and longitude, in degrees.
_PLACES = {
    "ams": (52.4, 4.9),
    "arn": (59.7, 17.9),
    "bom": (19.1, 72.9),
    "cdg": (49.0, 2.5),
    "dfw": (32.9, -97.0),
    "ewr": (40.7, -74.2),
    "fra": (50.0, 8.6),
    "gru": (-23.4, -46.5),
    "iad": (39.0, -77.5),
    "jnb": (-26.1, 28.2),
    "lax": (33.9, -118.4),
    "lhr": (51.5, -0.5),
    "nrt": (35.8, 140.4),
    "ord": (42.0, -87.9),
    "sin": (1.4, 104.0),
    "sjc": (37.4, -121.9),
    "syd": (-33.9, 151.2),
    "yyz": (43.7, -79.6),
}
_MOST = 4


def is_region(code: str) -> bool:
    """Whether this is a region's code. Aliases such as `eu` aren't: volumes are made in one region."""
    return code in _PLACES


def nearest(code: str, *, most: int = _MOST) -> tuple[str, ...]:
    """The region and those near it, the nearest first, `most` in all; of one that is newer than this table, itself."""
    if code not in _PLACES:
        return (code,)
    origin = _PLACES[code]
    return tuple(sorted(_PLACES, key=lambda other: _distance(origin, _PLACES[other])))[:most]


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The angle between two places, in radians."""
    (latitude, longitude), (latitude2, longitude2) = (tuple(map(math.radians, place)) for place in (one, other))
    cosine = math.sin(latitude) * math.sin(latitude2)
    cosine += math.cos(latitude) * math.cos(latitude2) * math.cos(longitude - longitude2)
    return math.acos(min(1.0, max(-1.0, cosine)))
