"""The machines that somebody may use."""

from dataclasses import dataclass

from django.db.models import Prefetch, prefetch_related_objects

from clouddev.models import Machine, Member
from clouddev.models.machines import Person
from clouddev.services import at_fly

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


def list_machines(*, person: Person) -> list[Listed]:
    """The person's machines, newest first. One query, and one question to Fly however many there are."""
    own = Member.objects.filter(user_id=person.id).select_related("machine", "machine__owner").defer(*_NOT_SHOWN)
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


def _listed(member: Member, states: dict[str, str]) -> Listed:
    machine = member.machine
    word = at_fly.OWN_WORDS.get(machine.state) or states.get(machine.fly_app_id, at_fly.UNKNOWN)
    return Listed(machine, member.role, member.linux_user, word)
