"""The machines that somebody may use."""

from dataclasses import dataclass

from clouddev.models import Machine, Member
from clouddev.models.machines import Person
from clouddev.services import at_fly

_MOST = 200
# What Fly can't know of yet, or no longer needs to be asked about.
_OWN_WORDS = {
    Machine.State.CREATING: "creating",
    Machine.State.UNDOING: "error",
    Machine.State.FAILED: "error",
    Machine.State.DESTROYING: "destroying",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A machine, what its reader is there, and Fly's word for its state."""

    machine: Machine
    role: str
    linux_user: str
    fly_state: str


def list_machines(*, person: Person) -> list[Listed]:
    """The person's machines, newest first. One query, and one question to Fly however many there are."""
    own = Member.objects.filter(user_id=person.id).select_related("machine", "machine__owner")
    members = list(own.order_by("-machine__created_at")[:_MOST])
    states = at_fly.states() if any(member.machine.state == Machine.State.READY for member in members) else {}
    return [
        Listed(member.machine, member.role, member.linux_user, word_of(member.machine, states)) for member in members
    ]


def word_of(machine: Machine, states: dict[str, str]) -> str:
    """The contract's word for its state; `states` are Fly's words by the app's name."""
    own = _OWN_WORDS.get(Machine.State(machine.state))
    return own or states.get(machine.fly_app_id, at_fly.UNKNOWN)
