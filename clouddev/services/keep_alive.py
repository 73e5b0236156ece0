"""Keeping a machine alive though nobody seems to use it, for a job that runs on it."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from clouddev.models import Machine
from clouddev.services import join
from clouddev.services.power import require_there
from core.errors import Malformed

LONGEST = timedelta(days=30)
# A caller's clock may be a little ahead of ours when they ask for the most.
_SKEW = timedelta(minutes=5)


def keep_alive(*, machine: Machine, until: datetime | None, actor: audit.Actor, now: datetime) -> None:
    """Protect the machine from being stopped or deleted as idle until `until`; None ends the protection.

    Raises Malformed for a time that is over or more than 30 days away, NoSuchMachine and NotReady.
    """
    require_there(machine)
    if until is not None and not now < until <= now + LONGEST + _SKEW:
        raise Malformed(f"until: Give a time within the next {LONGEST.days} days.")
    with transaction.atomic():
        # It may have been destroyed since it was looked up, or become somebody else's.
        there = join.locked(machine)
        join.require_decider(there, actor)
        require_there(there)
        Machine.objects.filter(pk=machine.pk).update(keep_alive_until=until, warned_at=None)
        if there.keep_alive_until == until:
            return
        audit.record(
            "machine.kept_alive" if until else "machine.let_go",
            actor=actor,
            target=machine,
            organization_id=machine.organization_id,
            details={"app": machine.app_name, "until": until.isoformat() if until else None},
        )
