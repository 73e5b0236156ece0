"""Beginning to make a machine, new or after a failure: the row as a worker finds it, and room for it."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from accounts import audit
from accounts.models import Organization, User
from clouddev import regions, ssh_keys
from clouddev.machine_tokens import Signer
from clouddev.models import Machine
from clouddev.names import database_name_of, linux_user_of, new_fly_name
from clouddev.services import queue
from core.errors import Conflict, Malformed
from core.rate_limits import RateLimit
from fly.clients.machines_api import Fly
from fly.names import slug_of
from fly.services import fly_apps

CREATIONS = RateLimit("machine-creations", "30/minute")


class BeingRemoved(Conflict):
    """409: the machine of this name is on its way out."""

    default = "The workspace of this name is being removed. Please try again in a minute."


class NoDatabase(Malformed):
    """400: the caller brings no database, and this server has none to give."""

    default = "envVars: Give a DATABASE_URL; this server has no database for workspaces."


def require_possible(*, brings_database: bool) -> None:
    """Raise what would keep a worker from making a machine at all."""
    Fly.from_settings()
    Signer.from_settings()
    if not brings_database and not settings.DATABASE_DATA_URL:
        raise NoDatabase


def hold_counts(*, people: Iterable[uuid.UUID], organization_ids: Iterable[uuid.UUID]) -> None:
    """Lock what machines are counted and made behind, so that calls at once can't pass a quota.

    `people` are the owner and whoever else is to be held: in everybody's order, or two could wait for each other.
    """
    list(Organization.objects.select_for_update(no_key=True).filter(pk__in=set(organization_ids)).order_by("pk"))
    list(User.objects.select_for_update(no_key=True).filter(pk__in=set(people)).order_by("pk"))


def begin(*, machine: Machine, region: str, brings_database: bool, actor: audit.Actor, now: datetime) -> None:
    """Fill the row for a first attempt, with a name and keys that nothing before it had, and tell a worker."""
    pair = ssh_keys.generate(comment=f"crayon {slug_of(machine.app_name)}")
    machine.fly_app = fly_apps.intend(name=new_fly_name(), now=now)
    machine.region = region if regions.is_region(region) else settings.FLY_REGION
    machine.state, machine.step, machine.error = Machine.State.CREATING, "Waiting for a worker…", ""
    machine.attempts_before, machine.heartbeat_at = machine.attempt, None
    machine.dev_user = linux_user_of(machine.owner_id)
    machine.ssh_public_key = pair.public
    machine.sealed_ssh_key = pair.private.encode()
    machine.variables_kept_until = None
    machine.secrets_version, machine.ready_at = None, None
    machine.database_schema = "" if brings_database else database_name_of(machine.fly_app_id)
    machine.database_host = ""
    machine.created_at = now
    machine.save()
    audit.record(
        "machine.create_requested",
        actor=actor,
        target=machine,
        details={"app": machine.app_name, "fly_app": machine.fly_app_id, "region": machine.region},
    )
    queue.enqueue(machine.pk)
