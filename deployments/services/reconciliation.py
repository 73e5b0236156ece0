"""What the comparison with Fly finishes and compares of deployments (`fly.services.reconciliation`)."""

from collections.abc import Mapping
from datetime import datetime

from deployments.models import Deployment
from deployments.services import destruction, machine_drift, preparation
from fly.clients.machines_api import App, Fly
from fly.models import CLAIM_LASTS, Discrepancy, FlyApp
from fly.services import reconciliation
from fly.services.reconciliation import Counts, tried

# What is left over for the next run: one that takes for ever helps nobody.
_AT_ONCE = 50


def finish_halves(counts: Counts, *, now: datetime) -> None:
    """Go on with apps that were left half prepared or half destroyed, where no call is at them."""
    halves = Deployment.objects.filter(fly_app__in=FlyApp.objects.free(now=now)).values_list("pk", flat=True)
    for pk in halves.filter(
        # What Fly refuses for good is asked again when somebody asks for it.
        state=Deployment.State.PREPARING,
        created_at__lt=now - CLAIM_LASTS,
        fly_app__refusal="",
    )[:_AT_ONCE]:
        counts.prepared += tried(counts, lambda pk=pk: preparation.finish(deployment_id=pk, now=now))  # type: ignore[misc]
    for pk in halves.filter(state=Deployment.State.DESTROYING)[:_AT_ONCE]:
        counts.destroyed += tried(counts, lambda pk=pk: destruction.finish(deployment_id=pk, now=now))  # type: ignore[misc]


def compare_machines(fly: Fly, listed: Mapping[str, App], counts: Counts, *, now: datetime) -> None:
    """Record what differs in deployments' apps; what was found before stays when Fly can't tell."""
    findings = machine_drift.findings(fly, listed, now=now)
    if findings is None:
        return
    Discrepancy.objects.replace(kinds=machine_drift.KINDS, findings=findings, now=now)
    kinds = [kind for kind, _ in findings]
    counts.surplus, counts.unknown, counts.empty, counts.other = map(kinds.count, machine_drift.KINDS)


reconciliation.register(finish=finish_halves, compare=compare_machines)
