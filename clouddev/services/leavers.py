"""Workspaces of people who no longer fit the sign-up policy.

One that nobody else may use is stopped, and stopped again when something starts it: Fly's proxy does for whoever
connects, and an SSH key that was fetched is out. One that others may use goes on for them.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Exists, OuterRef

from accounts.models import Departure
from accounts.services.access_ended import Ended, part
from accounts.services.departures import Returned, left_behind, on_return
from clouddev import cron_expressions
from clouddev.models import CronJob, Machine, Member
from clouddev.models.machines import MachineQuerySet
from clouddev.services import queue
from clouddev.services.cron.jobs import LOST_ACCESS, record

State, Wanted = Machine.State, Machine.Wanted
_AT_REST = frozenset({"stopped", "suspended"})
# At once; each is asked for at Fly.
_MOST_A_RUN = 200


@part("workspaces that run")
def _stop(ended: Ended) -> int:
    """Those that nobody else may use, whatever Fly was last heard to say of them."""
    return _want_stopped(_unattended([ended.user.pk]), now=ended.now) if ended.has_left else 0


def stop_again(*, now: datetime) -> int:
    """Stop what runs although nobody who is in may use it; says how many. What Fly refused is asked for once more."""
    left = Departure.objects.open().values_list("user_id", flat=True)
    if not (user_ids := list(left)):
        return 0
    running = _unattended(user_ids).filter(wanted_at=None).exclude(fly_state__in=_AT_REST)
    return _want_stopped(running, now=now)


@on_return
def _resume(returned: Returned) -> None:
    """Let the cron jobs go on that were paused for this, on workspaces that the person may still use."""
    paused = CronJob.objects.for_member(returned.user).filter(
        created_by=returned.user, paused_at=returned.left_at, paused_reason=LOST_ACCESS
    )
    for job in paused.select_related("machine"):
        zone = cron_expressions.parse_timezone(job.timezone)
        due = cron_expressions.next_after(job.cron_expression, zone, returned.now)
        still = CronJob.objects.filter(pk=job.pk, paused_at=returned.left_at)
        if still.update(paused_at=None, paused_reason="", next_run_at=due, updated_at=returned.now):
            record("cron_job.resumed", job, None)


@left_behind
def _left_behind(user_ids: set[uuid.UUID]) -> Mapping[uuid.UUID, list[str]]:
    """What runs, what others use, and the cron jobs of theirs that stand still for others."""
    told: dict[uuid.UUID, list[str]] = {}
    others = _others_by_machine(user_ids)
    owned = Machine.objects.filter(owner__in=user_ids).order_by("app_name", "pk")
    for pk, owner_id, name, state, fly_state in owned.values_list("pk", "owner_id", "app_name", "state", "fly_state"):
        if names := others.get(pk):
            told.setdefault(owner_id, []).append(f"the workspace {name} is used by {', '.join(names)}: transfer it")
        elif state == State.READY and fly_state not in _AT_REST:
            told.setdefault(owner_id, []).append(f"the workspace {name} is to be stopped")
    jobs = CronJob.objects.filter(created_by__in=user_ids, paused_reason=LOST_ACCESS, paused_at__isnull=False)
    for user_id, machine_id, workflow, name in jobs.order_by("workflow_name", "pk").values_list(
        "created_by_id", "machine_id", "workflow_name", "machine__app_name"
    ):
        if machine_id in others:
            told.setdefault(user_id, []).append(f"the cron job {workflow} of {name} waits for a member to resume it")
    return told


def _unattended(user_ids: Iterable[uuid.UUID]) -> MachineQuerySet:
    """Ready ones of which one of these people is a member, and nobody who is in."""
    theirs = Member.objects.filter(user__in=user_ids).values("machine")
    somebody = Member.objects.filter(machine=OuterRef("pk"), user__is_active=True)
    return Machine.objects.filter(~Exists(somebody), pk__in=theirs, state=State.READY)


def _want_stopped(machines: MachineQuerySet, *, now: datetime) -> int:
    """Record that they are to be stopped, whoever wanted or was promised anything else, and have workers see to it."""
    ids = list(machines.order_by("pk").values_list("pk", flat=True)[:_MOST_A_RUN])
    wish = {"wanted": Wanted.STOPPED, "wanted_at": now, "wanted_by": None, "promised_at": None, "error": ""}
    count = Machine.objects.filter(pk__in=ids, state=State.READY).update(**wish)
    for machine_id in ids:
        queue.enqueue_desired_state(machine_id)
    return count


def _others_by_machine(user_ids: set[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Who else may use the workspaces that these people are members of, by workspace."""
    theirs = Member.objects.filter(user__in=user_ids).values("machine")
    found: dict[uuid.UUID, list[str]] = {}
    members = Member.objects.filter(user__is_active=True, machine__in=theirs).exclude(user__in=user_ids)
    for member in members.select_related("user").order_by("machine", "pk"):
        found.setdefault(member.machine_id, []).append(member.user.display_name)
    return found
