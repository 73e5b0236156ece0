"""Machines that nobody uses: stopped after some minutes, warned of and then stopped or deleted after some days.

All of it is off until an organization's policy says otherwise. Use is what goes through this server, and a start by
Fly's proxy; what a person does over a connection that was open before is known to nobody here, which is what
“keep alive until” is for. Fly is asked once for all machines.
"""

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts import audit
from clouddev.models import CronRun, IdlePolicy, Machine
from clouddev.models.machines import MachineQuerySet
from clouddev.services import destruction, join, power
from core.errors import ApplicationError, Malformed
from fly.clients.machines_api import Fly
from fly.clients.machines_api.types import MachineOfOrganization

logger = logging.getLogger(__name__)

_LONGEST_KEPT = timedelta(days=30)
# A caller's clock may be a little ahead of ours when they ask for the most.
_SKEW = timedelta(minutes=5)
_STARTED = "started"
_AT_REST = frozenset({"stopped", "suspended"})
Action = IdlePolicy.Action


@dataclass(frozen=True, slots=True)
class Notice:
    """What happens to an unused machine, and when; for its members to read."""

    on: datetime
    action: str

    @property
    def sentence(self) -> str:
        """What to tell them."""
        what = "deleted with its data" if self.action == Action.DELETE else "stopped"
        return (
            f"Nobody has used this workspace for long. It will be {what} on {self.on:%-d %B %Y}, unless somebody does."
        )


class Warnable(Protocol):
    """What is needed of a machine to know whether its members were warned: a Machine, or the few words of a list."""

    @property
    def pk(self) -> uuid.UUID:
        """The machine's id."""

    @property
    def organization_id(self) -> uuid.UUID:
        """Whose policy counts."""

    @property
    def warned_at(self) -> datetime | None:
        """When its members were warned."""


def notice_of(machine: Machine, policy: IdlePolicy | None) -> Notice | None:
    """Give what a warned machine's members are told; None without a warning, or without a policy by now."""
    return _notice(machine.warned_at, policy)


def notices_for(machines: Iterable[Warnable]) -> dict[uuid.UUID, Notice]:
    """Give the notices of all warned machines among these, by id, with their organizations' current policies."""
    warned = [machine for machine in machines if machine.warned_at is not None]
    found = (
        IdlePolicy.objects.filter(organization__in={machine.organization_id for machine in warned}) if warned else ()
    )
    policies = {policy.organization_id: policy for policy in found}
    notices = {machine.pk: _notice(machine.warned_at, policies.get(machine.organization_id)) for machine in warned}
    return {machine_id: notice for machine_id, notice in notices.items() if notice is not None}


def _notice(warned_at: datetime | None, policy: IdlePolicy | None) -> Notice | None:
    if warned_at is None or policy is None or policy.warn_after_days is None:
        return None
    return Notice(on=_reacts_until(warned_at, policy), action=policy.then)


def keep_alive(*, machine: Machine, until: datetime | None, actor: audit.Actor, now: datetime) -> None:
    """Protect the machine from being stopped or deleted as idle until `until`; None ends the protection.

    Raises Malformed for a time that is over or more than 30 days away, NoSuchMachine and NotReady.
    """
    power.require_there(machine)
    if until is not None and not now < until <= now + _LONGEST_KEPT + _SKEW:
        raise Malformed(f"until: Give a time within the next {_LONGEST_KEPT.days} days.")
    with transaction.atomic():
        # It may have been destroyed since it was looked up, or become somebody else's.
        there = join.locked(machine)
        join.require_decider(there, actor)
        power.require_there(there)
        Machine.objects.filter(pk=machine.pk).update(keep_alive_until=until, warned_at=None)
        if there.keep_alive_until == until:
            return
        audit.record(
            "machine.kept_alive" if until else "machine.let_go",
            actor=actor,
            target=machine,
            details={"app": machine.app_name, "until": until.isoformat() if until else None},
        )


def look(*, now: datetime) -> None:
    """Do what the policies say. Can be repeated; does nothing while Fly can't be asked."""
    active = IdlePolicy.objects.filter(Q(stop_after_minutes__isnull=False) | Q(warn_after_days__isnull=False))
    policies = {policy.organization_id: policy for policy in active}
    machines = list(_subject_to(now).filter(organization_id__in=policies))
    if not machines:
        return
    try:
        found = _at_fly()
    except ApplicationError as error:
        logger.warning("machines are not looked at for use: %s", type(error).__name__)
        return
    for machine in machines:
        # What Fly doesn't tell of is in a region that can't be asked, or is being changed.
        if there := found.get(machine.fly_app_id):
            _look_at(machine, there, policies[machine.organization_id], now)


def _subject_to(now: datetime) -> MachineQuerySet:
    """Ready machines that nobody has marked, and that run nothing of ours."""
    under_way = CronRun.objects.unfinished().filter(job__machine=OuterRef("pk"))
    unmarked = Q(keep_alive_until=None) | Q(keep_alive_until__lte=now)
    ready = Machine.objects.filter(unmarked, ~Exists(under_way), state=Machine.State.READY)
    return ready.select_related("organization")


def _at_fly() -> dict[str, MachineOfOrganization]:
    pages = Fly.from_settings().pages_of_machines()
    return {machine.app_name: machine for page in pages for machine in page.machines}


def _look_at(machine: Machine, there: MachineOfOrganization, policy: IdlePolicy, now: datetime) -> None:
    try:
        _note_start(machine, there)
        # Whoever is suspended could neither heed a warning nor use the machine.
        if machine.organization.suspended_at is None:
            if _is_over(machine, policy, now):
                _end(machine, there, policy, now)
                return
            _warn(machine, there, policy, now)
        if _is_idle(machine, policy, now) and there.state == _STARTED:
            _stop(machine, now)
    except ApplicationError as error:
        # The next look comes back to it.
        logger.warning("machine %s was not dealt with for want of use: %s", machine.pk, type(error).__name__)


def _note_start(machine: Machine, there: MachineOfOrganization) -> None:
    """A machine that Fly's proxy has started since is in use."""
    if there.state != _STARTED or (machine.last_active_at and there.updated_at <= machine.last_active_at):
        return
    Machine.objects.filter(pk=machine.pk, last_active_at=machine.last_active_at).update(
        last_active_at=there.updated_at, warned_at=None
    )
    machine.last_active_at, machine.warned_at = there.updated_at, None


def _last_use(machine: Machine) -> datetime:
    return machine.last_active_at or machine.ready_at or machine.created_at


def _is_idle(machine: Machine, policy: IdlePolicy, now: datetime) -> bool:
    minutes = policy.stop_after_minutes
    return minutes is not None and now - _last_use(machine) >= timedelta(minutes=minutes)


def _is_over(machine: Machine, policy: IdlePolicy, now: datetime) -> bool:
    """Whether the days after the warning have passed."""
    notice = notice_of(machine, policy)
    return notice is not None and notice.on <= now


def _reacts_until(warned_at: datetime, policy: IdlePolicy) -> datetime:
    """Give the end of the days to react, which begin with the warning or with a later change of the policy."""
    return max(warned_at, policy.changed_at) + timedelta(days=policy.days_to_react)


def _warn(machine: Machine, there: MachineOfOrganization, policy: IdlePolicy, now: datetime) -> None:
    if policy.then == Action.STOP and there.state != _STARTED:
        return  # there is nothing to warn of
    days = policy.warn_after_days
    if days is None or machine.warned_at is not None or now - _last_use(machine) < timedelta(days=days):
        return
    with transaction.atomic():
        if _unused(machine, now).update(warned_at=now):
            on = _reacts_until(now, policy)
            _record("machine.idle_warned", machine, then=policy.then, on=on.isoformat())


def _end(machine: Machine, there: MachineOfOrganization, policy: IdlePolicy, now: datetime) -> None:
    if policy.then == Action.STOP:
        if there.state == _STARTED:
            _stop(machine, now)
        _warned_anew(machine, None)
    elif there.state == _STARTED:
        # Somebody may be at it over a connection that was open before: they notice, and have the days to react again.
        # That is written down first: were it lost, the next look would delete what it finds stopped.
        _warned_anew(machine, now)
        _stop(machine, now)
    elif _is_at_rest(machine):
        _delete(machine, now)


def _is_at_rest(machine: Machine) -> bool:
    """Whether Fly says so now; what it said of all machines may be minutes old."""
    there = Fly.from_settings().list_machines(machine.fly_app_id)
    return bool(there) and all(item.state in _AT_REST for item in there)


def _warned_anew(machine: Machine, warned_at: datetime | None) -> None:
    """Clear the warning that was acted on, unless it was taken back meanwhile."""
    Machine.objects.filter(pk=machine.pk, warned_at=machine.warned_at).update(warned_at=warned_at)


def _delete(machine: Machine, now: datetime) -> None:
    with transaction.atomic():
        # Whoever uses, marks or runs it from now on finds it on its way out.
        locked = _unused(machine, now).select_for_update(no_key=True, of=("self",))
        # Another organization has other rules.
        if locked.filter(warned_at=machine.warned_at, organization=machine.organization_id).first() is None:
            return
        _record("machine.deleted_idle", machine, unused_since=_last_use(machine).isoformat())
        destruction.destroy(machine=machine, actor=None)


def _stop(machine: Machine, now: datetime) -> None:
    if _unused(machine, now).exists():
        power.stop_idle(machine=machine, now=now)


def _unused(machine: Machine, now: datetime) -> MachineQuerySet:
    """The machine, as long as nobody has used it since it was looked up."""
    return _subject_to(now).filter(pk=machine.pk, last_active_at=machine.last_active_at)


def _record(action: str, machine: Machine, **details: str) -> None:
    """Add a row to the audit trail, by nobody: it was this server."""
    audit.record(
        action, actor=None, target=machine,
        details={"app": machine.app_name, **details},
    )  # fmt: skip
