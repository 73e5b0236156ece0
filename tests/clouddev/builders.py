"""Machines in every state, made without workers; at the sandbox's Fly too, when that is given."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from clouddev import ssh_keys
from clouddev.models import Machine, Member, Offer, WebhookToken
from clouddev.names import database_name_of, linux_user_of, new_fly_name
from clouddev.services.offers import STAYS
from clouddev.services.provisioning import machine_config
from fly.clients.machines_api import Fly
from fly.models import FlyApp
from tests.sandbox_process import SandboxProcess

State, Role = Machine.State, Member.Role
# Made once: what tests want to know of a key doesn't depend on which one it is.
PAIR = ssh_keys.generate(comment="crayon tests")
_APP_STATES = {State.CREATING: FlyApp.State.INTENDED, State.FAILED: FlyApp.State.GONE}


def make_machine(
    owner: User,
    app_name: str = "studio",
    *,
    state: str = State.READY,
    sandbox: SandboxProcess | None = None,
    fly_state: str = "started",
    **fields: Any,
) -> Machine:
    """A machine of the person's; with `sandbox`, Fly has it in `fly_state`."""
    at: datetime = fields.pop("created_at", None) or timezone.now()
    name = fields.pop("fly_name", None) or new_fly_name()
    app_state = _APP_STATES.get(State(state), FlyApp.State.READY)
    defaults: dict[str, Any] = {
        "app_name": app_name,
        "fly_app": FlyApp.objects.create(
            name=name,
            network=f"{name}-net",
            state=app_state,
            created_at=at,
            ready_at=at,
            gone_at=at if app_state == FlyApp.State.GONE else None,
        ),
        "owner": owner,
        "organization": owner.personal_organization,
        "region": "iad",
        "state": state,
        "dev_user": linux_user_of(owner.pk),
        "ssh_public_key": PAIR.public,
        "created_at": at,
        "database_schema": database_name_of(name),
    }
    if state in {State.READY, State.DESTROYING}:
        defaults |= {"ready_at": at + timedelta(seconds=40), "last_active_at": at, "secrets_version": 1}
        defaults |= {"cpus": 6, "memory_mb": 3072}
    machine = Machine(**{**defaults, **fields})
    machine.sealed_ssh_key = PAIR.private.encode()
    machine.save()
    add_member(machine, owner, Role.OWNER, created_at=at)
    if sandbox is not None:
        put_at_fly(machine, sandbox, fly_state)
    return machine


def make_failed(owner: User, app_name: str = "studio", *, kept_for: timedelta | None = None, **fields: Any) -> Machine:
    """One that could not be made a moment ago; its variables are kept for another try, for an hour unless told."""
    defaults = {"error": "Fly has no room.", "had_variables": True, "attempt": 1}
    machine = make_machine(owner, app_name, state=State.FAILED, **{**defaults, **fields})
    machine.sealed_environment = b'{"A": "not-a-secret"}'
    machine.variables_kept_until = timezone.now() + (timedelta(hours=1) if kept_for is None else kept_for)
    machine.save()
    return machine


def add_member(machine: Machine, user: User, role: str = Role.MEMBER, **fields: Any) -> Member:
    """Somebody who may use the machine."""
    defaults = {"linux_user": linux_user_of(user.pk), "created_at": timezone.now()}
    return Member.objects.create(machine=machine, user=user, role=role, **{**defaults, **fields})


def make_offer(machine: Machine, recipient: User, kind: str = Offer.Kind.MEMBER, **fields: Any) -> Offer:
    """The machine offered to somebody by whose it is, just now."""
    now = timezone.now()
    role = Role.OWNER if kind == Offer.Kind.TRANSFER else Role.MEMBER
    defaults: dict[str, Any] = {"made_by": machine.owner, "role": role, "created_at": now, "expires_at": now + STAYS}
    return Offer.objects.create(machine=machine, recipient=recipient, kind=kind, **{**defaults, **fields})


def make_webhook_token(machine: Machine, made_by: User, **fields: Any) -> WebhookToken:
    """The row of a token that was given out just now for 30 days."""
    now = timezone.now()
    defaults: dict[str, Any] = {"created_at": now, "expires_at": now + timedelta(days=30)}
    return WebhookToken.objects.create(machine=machine, made_by=made_by, **{**defaults, **fields})


def put_at_fly(machine: Machine, sandbox: SandboxProcess, fly_state: str = "started") -> str:
    """Let Fly have the machine, with its app, an address and its volume; gives its id there."""
    fly, app = Fly.from_settings(), machine.fly_app_id
    sandbox.add_fly_app(app, network=machine.fly_app.network)
    fly.assign_address(app, kind="v6")
    volume = fly.create_volume(
        app, name=machine_config.VOLUME_NAME, region=machine.region, size_gb=10, compute=machine_config.guest()
    )
    made = fly.create_machine(
        app,
        name=machine_config.MACHINE_NAME,
        region=machine.region,
        config=machine_config.config(volume_id=volume.id, metadata={"crayon_machine": str(machine.pk)}),
    )
    sandbox.fly_machine(made.id, state=fly_state)
    machine.fly_machine_id, machine.volume_id, machine.fly_state = made.id, volume.id, fly_state
    machine.save(update_fields=["fly_machine_id", "volume_id", "fly_state"])
    return made.id
