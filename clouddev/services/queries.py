"""The machines that somebody may use."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.utils import timezone

from accounts.models.users import Person
from clouddev.models import Machine, Member
from clouddev.services import fly_states, idle_policy, queue
from fly.models import url_of

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
    """A machine in few words, for tools. `notice` says when it will be stopped or deleted because nobody uses it."""

    app_name: str
    fly_app_name: str
    url: str
    role: str
    linux_user: str
    fly_state: str
    notice: str | None


class _Found(NamedTuple):
    """What a row is made of."""

    pk: uuid.UUID
    organization_id: uuid.UUID
    warned_at: datetime | None
    app_name: str
    fly_app_name: str
    state: str
    role: str
    linux_user: str
    fly_state: str
    ready_at: datetime | None


_COLUMNS = (
    "machine_id", "machine__organization_id", "machine__warned_at", "machine__app_name", "machine__fly_app_id",
    "machine__state", "role", "linux_user", "machine__fly_state", "machine__ready_at",
)  # fmt: skip


def list_rows(*, person: Person) -> list[Row]:
    """The person's machines, newest first. No model for each: that would be most of the work.

    One query, and another one where there was a warning.
    """
    own = _of(person).order_by("-machine__created_at", "-pk")
    found = [_Found(*values) for values in own.values_list(*_COLUMNS)[:_MOST]]
    ready = [item for item in found if item.state == Machine.State.READY]
    states = fly_states.words_for(fly_states.Row(item.fly_app_name, item.fly_state, item.ready_at) for item in ready)
    notices = idle_policy.notices_for(ready)
    return [_row(item, states, notices.get(item.pk)) for item in found]


def _row(item: _Found, states: dict[str, str], notice: idle_policy.Notice | None) -> Row:
    name = item.fly_app_name
    return Row(
        app_name=item.app_name,
        fly_app_name=name,
        url=url_of(name),
        role=item.role,
        linux_user=item.linux_user,
        fly_state=_word(item.state, name, states),
        notice=notice.sentence if notice else None,
    )


def list_machines(*, person: Person) -> list[Listed]:
    """The person's machines, newest first. One query, and one question to Fly however many there are."""
    own = _of(person).select_related("machine", "machine__owner").defer(*_NOT_SHOWN)
    members = list(own.order_by("-machine__created_at", "-pk")[:_MOST])
    states = _words_for(members)
    return [_listed(member, states) for member in members]


def list_with_people(*, person: Person) -> list[Listed]:
    """Give the same, with each machine's members and their people loaded: two queries more."""
    found = list_machines(person=person)
    everybody = Prefetch("members", Member.objects.select_related("user"))
    prefetch_related_objects([item.machine for item in found], everybody)
    return found


def listed(member: Member) -> Listed:
    """Give one machine as this member sees it."""
    return _listed(member, _words_for([member]))


def _words_for(members: list[Member]) -> dict[str, str]:
    ready = (member.machine for member in members if member.machine.state == Machine.State.READY)
    return fly_states.words_for(map(fly_states.row_of, ready))


def _of(person: Person) -> QuerySet[Member]:
    """Where the person is a member; not of a suspended organization's machines, which are closed to everybody."""
    return Member.objects.filter(user_id=person.id, machine__organization__suspended_at=None)


def _listed(member: Member, states: dict[str, str]) -> Listed:
    machine = member.machine
    queue.end_if_stalled(machine=machine, now=timezone.now())
    return Listed(machine, member.role, member.linux_user, _word(machine.state, machine.fly_app_id, states))


def _word(state: str, fly_app_name: str, states: dict[str, str]) -> str:
    return fly_states.OWN_WORDS.get(state) or states.get(fly_app_name, fly_states.UNKNOWN)
