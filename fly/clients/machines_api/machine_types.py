"""What is used of Fly's answers about machines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.json_fields import (
    Fields,
    Unreadable,
    a_list,
    an_object,
    items,
    moment,
    optional_moment,
    optional_object,
    optional_text,
    text,
)


@dataclass(frozen=True, slots=True)
class Check:
    """A health check's last outcome: passing, warning or critical."""

    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Exit:
    """How a machine's main process ended."""

    at: datetime | None
    code: int | None
    out_of_memory: bool
    requested: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine. `state` is Fly's word; `version` changes with each update; `config` may hold secrets."""

    id: str
    name: str
    state: str
    region: str
    version: str
    private_ip: str
    image: str
    created_at: datetime | None
    updated_at: datetime | None
    host_status: str
    metadata: Mapping[str, str]
    checks: tuple[Check, ...]
    last_exit: Exit | None
    config: Fields = field(repr=False)

    @property
    def process_group(self) -> str:
        """The process group that `flyctl deploy` manages it in, "" when it doesn't."""
        return self.metadata.get("fly_process_group", "")


@dataclass(frozen=True, slots=True)
class MachineOfOrganization:
    """A machine as the list of the whole organization has it."""

    app_name: str
    id: str
    state: str
    region: str
    updated_at: datetime
    # As with a Machine.
    process_group: str
    image: str


@dataclass(frozen=True, slots=True)
class MachinePage:
    """A page of the organization's machines. What lies in `error_regions` is left out of it."""

    machines: tuple[MachineOfOrganization, ...]
    next_cursor: str
    error_regions: tuple[str, ...]


def machines(body: object) -> tuple[Machine, ...]:
    """The answer of `GET /v1/apps/{app}/machines`."""
    if body is None:
        raise Unreadable("machines")
    return tuple(machine(item) for item in a_list(body, "machines"))


def machine(body: object) -> Machine:
    """The answer of `GET /v1/apps/{app}/machines/{id}`."""
    found = an_object(body, "machine")
    config = optional_object(found, "config")
    return Machine(
        id=text(found, "id"),
        name=optional_text(found, "name"),
        state=text(found, "state"),
        region=optional_text(found, "region"),
        version=optional_text(found, "instance_id"),
        private_ip=optional_text(found, "private_ip"),
        image=_image(optional_object(found, "image_ref")) or optional_text(config, "image"),
        created_at=optional_moment(found, "created_at"),
        updated_at=optional_moment(found, "updated_at"),
        host_status=optional_text(found, "host_status"),
        metadata=_metadata(config),
        checks=tuple(_check(an_object(item, "checks")) for item in a_list(found.get("checks"), "checks")),
        last_exit=_last_exit(found),
        config=config,
    )


def page_of_organization(body: object) -> MachinePage:
    """The answer of `GET /v1/orgs/{org}/machines`."""
    found = an_object(body, "body")
    return MachinePage(
        machines=tuple(_of_organization(an_object(item, "machines")) for item in items(found, "machines")),
        next_cursor=optional_text(found, "next_cursor"),
        error_regions=tuple(str(item) for item in a_list(found.get("error_regions"), "error_regions")),
    )


def done(body: object) -> None:
    """The answer of a call that only says `ok`."""
    an_object(body, "body")


def _image(found: Fields) -> str:
    """`registry/repository:tag@digest`, as far as it is known."""
    repository = optional_text(found, "repository")
    if not repository:
        return ""
    place = "/".join(part for part in (optional_text(found, "registry"), repository) if part)
    tag, digest = optional_text(found, "tag"), optional_text(found, "digest")
    return place + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _check(found: Fields) -> Check:
    return Check(optional_text(found, "name"), optional_text(found, "status"))


def _last_exit(found: Fields) -> Exit | None:
    """The newest event that tells of an exit; events come newest first."""
    for item in a_list(found.get("events"), "events"):
        event = an_object(item, "events")
        told = optional_object(optional_object(event, "request"), "exit_event")
        if told:
            code = told.get("exit_code")
            return Exit(
                at=optional_moment(told, "exited_at"),
                code=code if isinstance(code, int) else None,
                out_of_memory=told.get("oom_killed") is True,
                requested=told.get("requested_stop") is True,
            )
    return None


def _of_organization(found: Fields) -> MachineOfOrganization:
    config = optional_object(found, "config")
    return MachineOfOrganization(
        app_name=text(found, "app_name"),
        id=text(found, "id"),
        state=text(found, "state"),
        region=optional_text(found, "region"),
        updated_at=moment(found, "updated_at"),
        process_group=_metadata(config).get("fly_process_group", ""),
        image=optional_text(config, "image"),
    )


def _metadata(config: Fields) -> dict[str, str]:
    return {name: str(value) for name, value in optional_object(config, "metadata").items()}
