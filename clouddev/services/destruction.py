"""Destroying a machine: the intent first; a worker removes all it has, and its row last."""

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts import audit
from clouddev.models import Machine
from clouddev.services import access_ended, fly_states, join, kept_env, queue

State = Machine.State


def destroy(*, machine: Machine, actor: audit.Actor | None, claim: join.Claim | None = None) -> None:
    """Order the machine's removal with its volume and database. `actor` is None when this server does; twice is fine.

    Raises what `claim` raises and, where there is one, NoSuchMachine for a machine that has gone meanwhile.
    """
    with transaction.atomic():
        if claim is not None:
            claim(join.locked(machine))
        # A worker that is making it finds the state changed, and stops; its heartbeat must run out before another one
        # removes what it was making.
        changed = Machine.objects.filter(pk=machine.pk).exclude(state=State.DESTROYING)
        if changed.update(
            state=State.DESTROYING, step="Waiting for a worker…", error="", attempts_before=F("attempt"),
            **kept_env.ERASED,
        ):  # fmt: skip
            audit.record(
                "machine.destroyed",
                actor=actor,
                target=machine,
                details={"app": machine.app_name, "fly_app": machine.fly_app_id},
            )
        access_ended.end_offers(Q(machine=machine))
        # Who asks for it need not wait until a removal that has failed is tried again.
        Machine.objects.filter(pk=machine.pk, heartbeat_at__gt=Now()).update(heartbeat_at=Now())
        queue.enqueue(machine.pk)
    fly_states.forget_states()
