"""The machines that somebody may use."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from clouddev.models import Machine, Member
from clouddev.models.machines import Person
from clouddev.services import at_fly
from deployments.models.deployments import url_of

_MOST = 200
# Large, and of no use in a list.
_NOT_SHOWN = ("machine__sealed_environment", "machine__sealed_ssh_key", "machine__ssh_public_key")


@dataclass(frozen=True, slots=True)
class Listed:
    """A machine, what its reader is there, and Fly's word for its state."""

    machine: Machine
    role: str
    linux_user: str
    fly_state: str


@dataclass(frozen=True, slots=True)
class Row:
    """The same in few words, for tools."""

    app_name: str
    fly_app_name: str
    url: str
    role: str
    linux_user: str
    fly_state: str


def list_rows(*, person: Person) -> list[Row]:
    """The person's machines, newest first. One query, and no model for each: that would be most of the work."""
    own = _of(person).order_by("-machine__created_at")
    found = list(
        own.values_list("machine__app_name", "machine__fly_app_id", "machine__state", "role", "linux_user")[:_MOST]
    )
    states = at_fly.states() if any(state == Machine.State.READY for _, _, state, _, _ in found) else {}
    return [
        Row(app_name, fly_app_name, url_of(fly_app_name), role, linux_user, _word(state, fly_app_name, states))
        for app_name, fly_app_name, state, role, linux_user in found
    ]


def list_machines(*, person: Person) -> list[Listed]:
    """The person's machines, newest first. One query, and one question to Fly however many there are."""
    own = _of(person).select_related("machine", "machine__owner").defer(*_NOT_SHOWN)
    members = list(own.order_by("-machine__created_at")[:_MOST])
    states = at_fly.states() if any(member.machine.state == Machine.State.READY for member in members) else {}
    return [_listed(member, states) for member in members]


def list_with_people(*, person: Person) -> list[Listed]:
    """The same with each machine's members and their people: two queries more."""
    found = list_machines(person=person)
    everybody = Prefetch("members", Member.objects.select_related("user"))
    prefetch_related_objects([item.machine for item in found], everybody)
    return found


def listed(member: Member) -> Listed:
    """One machine, as this member of it sees it."""
    is_at_fly = member.machine.state == Machine.State.READY
    return _listed(member, at_fly.states() if is_at_fly else {})


def _of(person: Person) -> QuerySet[Member]:
    """Where the person is a member; not of a suspended organization's machines, which are closed to everybody."""
    return Member.objects.filter(user_id=person.id, machine__organization__suspended_at=None)


def _listed(member: Member, states: dict[str, str]) -> Listed:
    machine = member.machine
    return Listed(machine, member.role, member.linux_user, _word(machine.state, machine.fly_app_id, states))


def _word(state: str, fly_app_name: str, states: dict[str, str]) -> str:
    return at_fly.OWN_WORDS.get(state) or states.get(fly_app_name, at_fly.UNKNOWN)
