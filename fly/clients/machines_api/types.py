"""What is used of Fly's answers, and how each is read: strictly where used, blind to the rest.

Every reader raises Unreadable when a field is missing or of another kind.
"""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AliasPath, BeforeValidator, Field

from core.upstream_types import (
    NULL_IS_EMPTY_LIST,
    NULL_IS_EMPTY_OBJECT,
    IsTrue,
    Moment,
    Object,
    OptionalText,
    Text,
    Whole,
    reader,
)

_DESTROYED_VOLUME = frozenset(
    {"scheduling_destroy", "fork_cleanup", "waiting_for_detach", "pending_destroy", "destroying", "destroyed"}
)
_AnyAsText = Annotated[str, BeforeValidator(str)]


@dataclass(frozen=True, slots=True)
class App:
    """An app. A list leaves out its `network` ("" then) and how many `volumes` it has (0 then)."""

    name: Text
    network: OptionalText = ""
    volumes: Annotated[Whole, Field(validation_alias="volume_count")] = 0


@dataclass(frozen=True, slots=True)
class AppList:
    """The apps of an organization; `total` is how many Fly says there are, 0 when it doesn't say."""

    apps: Annotated[tuple[App, ...], NULL_IS_EMPTY_LIST]
    total: Annotated[Whole, Field(validation_alias="total_apps")] = 0


@dataclass(frozen=True, slots=True)
class Address:
    """An address under which an app can be reached."""

    ip: Text
    shared: IsTrue = False

    @property
    def kind(self) -> str:
        """One of v4, v6, shared_v4 and private_v6, which Fly does not repeat."""
        if ":" in self.ip:
            return "private_v6" if self.ip.lower().startswith("fd") else "v6"
        return "shared_v4" if self.shared else "v4"


@dataclass(frozen=True, slots=True)
class AddressList:
    """The addresses of an app."""

    ips: Annotated[tuple[Address, ...], NULL_IS_EMPTY_LIST]


@dataclass(frozen=True, slots=True)
class SecretsVersion:
    """The version of an app's secrets from which on a change is seen."""

    version: Whole


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was made."""

    token: Text = field(repr=False)


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk on one host. `machine_id` is "" when it is free."""

    id: Text
    state: Text
    region: Text
    size_gb: Whole
    name: OptionalText = ""
    machine_id: Annotated[OptionalText, Field(validation_alias="attached_machine_id")] = ""

    @property
    def is_there(self) -> bool:
        """Whether it is not being destroyed; such a one is listed for a while."""
        return self.state not in _DESTROYED_VOLUME


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line that an app, or Fly about it, has said. `instance` is the machine's id."""

    at: Annotated[Moment, Field(validation_alias=AliasPath("attributes", "timestamp"))]
    id: OptionalText = ""
    level: Annotated[OptionalText, Field(validation_alias=AliasPath("attributes", "level"))] = ""
    instance: Annotated[OptionalText, Field(validation_alias=AliasPath("attributes", "instance"))] = ""
    region: Annotated[OptionalText, Field(validation_alias=AliasPath("attributes", "region"))] = ""
    message: Annotated[OptionalText, Field(validation_alias=AliasPath("attributes", "message"))] = field(
        default="", repr=False
    )


@dataclass(frozen=True, slots=True)
class LogEntries:
    """Lines, oldest first."""

    data: Annotated[tuple[LogEntry, ...], NULL_IS_EMPTY_LIST]


@dataclass(frozen=True, slots=True)
class _ImageRef:
    registry: OptionalText = ""
    repository: OptionalText = ""
    tag: OptionalText = ""
    digest: OptionalText = ""

    def __str__(self) -> str:
        """`registry/repository:tag@digest`, as far as it is known."""
        if not self.repository:
            return ""
        place = "/".join(filter(None, (self.registry, self.repository)))
        return place + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """What is used of a machine's configuration, which may hold secrets beside it. `guest` is as Fly has it."""

    image: OptionalText = ""
    metadata: Annotated[dict[str, _AnyAsText], NULL_IS_EMPTY_OBJECT] = field(default_factory=dict)
    guest: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    id: Text
    state: Text
    region: OptionalText = ""
    config: Annotated[MachineConfig, NULL_IS_EMPTY_OBJECT] = field(default_factory=MachineConfig)

    @property
    def process_group(self) -> str:
        """The process group that `flyctl deploy` manages it in, "" when it doesn't."""
        return self.config.metadata.get("fly_process_group", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(_Listed):
    """A machine. `state` is Fly's word."""

    name: OptionalText = ""
    image_ref: Annotated[_ImageRef, NULL_IS_EMPTY_OBJECT] = field(default_factory=_ImageRef)

    @property
    def image(self) -> str:
        """What it runs, else what it is to run."""
        return str(self.image_ref) or self.config.image


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOfOrganization(_Listed):
    """A machine as the list of the whole organization has it."""

    app_name: Text
    updated_at: Moment

    @property
    def image(self) -> str:
        """What it is to run."""
        return self.config.image


@dataclass(frozen=True, slots=True)
class MachinePage:
    """A page of the organization's machines. What lies in `error_regions` is left out of it."""

    machines: Annotated[tuple[MachineOfOrganization, ...], NULL_IS_EMPTY_LIST]
    next_cursor: OptionalText = ""
    error_regions: Annotated[tuple[_AnyAsText, ...], NULL_IS_EMPTY_LIST] = ()


app = reader(App)
apps = reader(AppList)
address = reader(Address)
addresses = reader(AddressList)
secrets_version = reader(SecretsVersion)
token = reader(Token)
volume = reader(Volume)
log_entries = reader(LogEntries)
machine = reader(Machine)
machines = reader(tuple[Machine, ...])
page_of_organization = reader(MachinePage)
# The answer of a call that only says `ok`.
done = reader(Object)
_volumes = reader(tuple[Volume, ...])


def volumes(body: object) -> tuple[Volume, ...]:
    """The answer of `GET /v1/apps/{app}/volumes`, null when there are none."""
    return _volumes(() if body is None else body)
