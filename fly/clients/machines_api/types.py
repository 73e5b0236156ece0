"""What is used of Fly's answers about apps, addresses, secrets, volumes and logs."""

from dataclasses import dataclass, field
from datetime import datetime

from core.json_fields import Fields, a_list, an_object, items, moment, optional_object, optional_text, text, whole

_DESTROYED_VOLUME = frozenset(
    {"scheduling_destroy", "fork_cleanup", "waiting_for_detach", "pending_destroy", "destroying", "destroyed"}
)


@dataclass(frozen=True, slots=True)
class App:
    """An app. `network` and `organization` (its slug) are "" where a list leaves them out.

    `volumes` is how many it has, 0 where that is left out.
    """

    name: str
    network: str
    organization: str
    volumes: int


@dataclass(frozen=True, slots=True)
class AppList:
    """The apps of an organization; `total` is how many Fly says there are."""

    apps: tuple[App, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Address:
    """An address under which an app can be reached; `kind` is v4, v6, shared_v4 or private_v6."""

    ip: str
    kind: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk on one host. `machine_id` is "" when it is free."""

    id: str
    name: str
    state: str
    region: str
    size_gb: int
    machine_id: str

    @property
    def is_there(self) -> bool:
        """Whether it is not being destroyed; such a one is listed for a while."""
        return self.state not in _DESTROYED_VOLUME


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line that an app, or Fly about it, has said. `instance` is the machine's id."""

    id: str
    at: datetime
    level: str
    instance: str
    region: str
    message: str = field(repr=False)


def app(body: object) -> App:
    """The answer of `GET /v1/apps/{name}`."""
    found = an_object(body, "app")
    organization = optional_object(found, "organization")
    return App(
        name=text(found, "name"),
        network=optional_text(found, "network"),
        organization=optional_text(organization, "slug"),
        volumes=whole(found, "volume_count") if "volume_count" in found else 0,
    )


def apps(body: object) -> AppList:
    """The answer of `GET /v1/apps`."""
    found = an_object(body, "body")
    listed = tuple(app(item) for item in items(found, "apps"))
    return AppList(listed, whole(found, "total_apps") if "total_apps" in found else len(listed))


def addresses(body: object) -> tuple[Address, ...]:
    """The answer of `GET /v1/apps/{app}/ip_assignments`."""
    return tuple(address(item) for item in items(an_object(body, "body"), "ips"))


def address(body: object) -> Address:
    """The answer of `POST /v1/apps/{app}/ip_assignments`.

    It does not repeat the kind that was asked for: the address and `shared` tell.
    """
    found = an_object(body, "ips")
    ip = text(found, "ip")
    if ":" in ip:
        return Address(ip, "private_v6" if ip.lower().startswith("fd") else "v6")
    return Address(ip, "shared_v4" if found.get("shared") is True else "v4")


def secrets_version(body: object) -> int:
    """Of `POST /v1/apps/{app}/secrets`: the version from which on the change is seen."""
    return whole(an_object(body, "body"), "version")


def token(body: object) -> str:
    """The answer of `POST /v1/apps/{app}/deploy_token`."""
    return text(an_object(body, "body"), "token")


def volumes(body: object) -> tuple[Volume, ...]:
    """The answer of `GET /v1/apps/{app}/volumes`."""
    return tuple(volume(item) for item in a_list(body, "volumes"))


def volume(body: object) -> Volume:
    """The answer of `POST /v1/apps/{app}/volumes`."""
    found = an_object(body, "volume")
    return Volume(
        id=text(found, "id"),
        name=optional_text(found, "name"),
        state=text(found, "state"),
        region=text(found, "region"),
        size_gb=whole(found, "size_gb"),
        machine_id=optional_text(found, "attached_machine_id"),
    )


def log_entries(body: object) -> tuple[LogEntry, ...]:
    """The answer of `GET /api/v1/apps/{app}/logs`."""
    return tuple(_log_entry(an_object(item, "data")) for item in items(an_object(body, "body"), "data"))


def _log_entry(item: Fields) -> LogEntry:
    found = an_object(item.get("attributes"), "attributes")
    return LogEntry(
        id=optional_text(item, "id"),
        at=moment(found, "timestamp"),
        level=optional_text(found, "level"),
        instance=optional_text(found, "instance"),
        region=optional_text(found, "region"),
        message=optional_text(found, "message"),
    )
