"""What ends on machines when somebody's access does: of one machine, or of all (`accounts.services.access_ended`)."""

import uuid
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from accounts import audit
from accounts.services.access_ended import Ended, Why, part
from clouddev.models import CronJob, Machine, MachineToken, Member, Offer, WebhookToken
from clouddev.services import desired_state, kept_env
from clouddev.services.cron.jobs import LOST_ACCESS, pause


def end_on_machine(*, machine: Machine, user_id: uuid.UUID, by: audit.Actor | None, now: datetime) -> None:
    """End what a member was given or offered for this machine, or offers, and what runs there in their name."""
    _revoke_webhook_tokens(Q(machine=machine, made_by=user_id), by=by, now=now)
    _revoke_machine_tokens(Q(machine=machine, user=user_id), now=now)
    _pause_jobs(Q(machine=machine, created_by=user_id), now=now)
    desired_state.end_of(user_id, among=Machine.objects.filter(pk=machine.pk))
    end_offers(Q(machine=machine) & (Q(made_by=user_id) | Q(recipient=user_id)))


def end_offers(which: Q) -> int:
    """Delete these offers, so that nobody can accept them any more; says how many."""
    return Offer.objects.filter(which).delete()[0]


def end_offers_without_power(*, machine: Machine) -> int:
    """Delete the offers made by people who no longer decide about the machine."""
    deciders = Member.objects.filter(machine=machine, user=OuterRef("made_by_id"), role=Member.Role.OWNER)
    return Offer.objects.filter(~Exists(deciders), machine=machine).delete()[0]


@part("webhook tokens")
def _webhook_tokens(ended: Ended) -> int:
    return _revoke_webhook_tokens(Q(made_by=ended.user.pk), by=ended.by, now=ended.now)


@part("dev-UI and MCP tokens")
def _machine_tokens(ended: Ended) -> int:
    return _revoke_machine_tokens(Q(user=ended.user.pk), now=ended.now)


@part("cron jobs")
def _jobs(ended: Ended) -> int:
    """Signing out is about what tools and browsers hold: whoever may still use the machine keeps their jobs."""
    if ended.why == Why.SIGNED_OUT:
        return 0
    return _pause_jobs(Q(created_by=ended.user.pk), now=ended.now)


@part("workspaces to be started or stopped")
def _wishes(ended: Ended) -> int:
    """What Fly has not done yet. Whoever signs out may still use the machine, and was told that it is going to be."""
    if ended.why == Why.SIGNED_OUT:
        return 0
    return desired_state.end_of(ended.user.pk, among=Machine.objects.all())


@part("variables of workspaces that failed")
def _variables(ended: Ended) -> int:
    """What is kept for another try at the person's own."""
    return kept_env.erase(Machine.objects.filter(owner=ended.user.pk))


@part("offers of workspaces they made")
def _offers_made(ended: Ended) -> int:
    return end_offers(Q(made_by=ended.user.pk))


@part("offers of workspaces to them")
def _offers_received(ended: Ended) -> int:
    """Signing out is about what tools and browsers hold: nobody but the person could accept them."""
    if ended.why == Why.SIGNED_OUT:
        return 0
    return end_offers(Q(recipient=ended.user.pk))


def _revoke_webhook_tokens(which: Q, *, by: audit.Actor | None, now: datetime) -> int:
    working = WebhookToken.objects.filter(which, revoked_at=None, expires_at__gt=now).select_related("machine")
    # Locked, so that of two that revoke a token at once one writes it down.
    tokens = list(working.select_for_update(of=("self",)))
    WebhookToken.objects.filter(pk__in=[token.pk for token in tokens]).update(revoked_at=now)
    audit.record_each(
        "webhook_token.revoked",
        [
            {"actor": by, "target": token,
             "details": {"app": token.machine.app_name}}
            for token in tokens
        ],
    )  # fmt: skip
    return len(tokens)


def _revoke_machine_tokens(which: Q, *, now: datetime) -> int:
    return MachineToken.objects.filter(which, revoked_at=None, expires_at__gt=now).update(revoked_at=now)


def _pause_jobs(which: Q, *, now: datetime) -> int:
    jobs = list(CronJob.objects.filter(which, paused_at=None).select_related("machine"))
    for job in jobs:
        pause(job=job, reason=LOST_ACCESS, now=now)
    return len(jobs)
