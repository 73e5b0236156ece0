"""Creating a machine: the intent is recorded, its keys are made, and a worker does the rest."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from django.conf import settings
from django.db import transaction

from accounts.audit import record
from accounts.callers import Caller
from accounts.models import Organization, User
from clouddev import regions, sshkeys
from clouddev.devui import Signer
from clouddev.models import Machine, Member
from clouddev.names import database_name_of, linux_user_of, new_fly_name, slug_of
from clouddev.services import queue, quotas
from clouddev.services.access import require_open
from clouddev.services.tokens import record_fetched
from config.core.errors import Conflict, Malformed
from config.core.ratelimits import RateLimit
from deployments.clients.fly import Fly
from deployments.environment import split, without_start
from deployments.models import called
from deployments.services import fly_apps
from deployments.services.preparation import labeled

logger = logging.getLogger(__name__)

CREATIONS = RateLimit("machine-creations", "30/minute")
State = Machine.State
_SHARED = (
    "“{name}” is {owner}'s workspace, which is shared with you, so no other was made. To create one of your own of "
    "this name, send `own` as true."
)


class BeingRemoved(Conflict):
    """409: the machine of this name is on its way out."""

    default = "The machine of this name is being removed. Please try again in a minute."


class NoDatabase(Malformed):
    """400: the caller brings no database, and this server has none to give."""

    default = "envVars: Give a DATABASE_URL; this server has no database for machines."


@dataclass(frozen=True, slots=True)
class Created:
    """What the caller may know at once."""

    machine: Machine
    private_key: str = field(repr=False)
    message: str = ""


def create(  # noqa: PLR0913 - what is wanted has this many parts
    *,
    caller: Caller,
    app_name: str,
    environment: Mapping[str, str],
    region: str,
    now: datetime,
    own: bool = False,
) -> Created:
    """The caller's machine of this name, begun when there is none or when the last attempt has failed.

    Who has none is given the one of this name that is shared with them, unless it is to be their `own`. `region` is
    where it shall be if there is room. Raises NotAnAppName, NoDatabase, QuotaReached, BeingRemoved,
    OrganizationSuspended, TooManyRequests, and what says that this server isn't configured for machines.
    """
    app_name = labeled(app_name)
    machine = Machine.objects.filter(called(app_name), owner_id=caller.id).select_related("organization").first()
    if machine is not None:
        require_open(machine)
    elif not own and (shared := _shared(caller, app_name)) is not None:
        message = _SHARED.format(name=shared.app_name, owner=shared.owner.get_short_name())
        private_key = shared.unseal("sealed_ssh_key").decode()
        record_fetched("ssh_key.fetched", shared, caller)
        return Created(shared, private_key, message)
    is_made = machine is not None and machine.state != State.FAILED
    if machine is None or machine.state == State.FAILED:
        _require_possible(environment)
        CREATIONS.spend(str(caller.id))
        machine = _intended(caller, app_name, environment, region, now=now)
    if machine.state in {State.DESTROYING, State.UNDOING}:
        raise BeingRemoved
    private_key = machine.unseal("sealed_ssh_key").decode()
    if is_made:
        # Whoever asks for a machine that is there is given its key, as by `ssh-key`.
        record_fetched("ssh_key.fetched", machine, caller)
    return Created(machine, private_key)


def _shared(caller: Caller, app_name: str) -> Machine | None:
    """The machine of this name that somebody else has let the caller use, and that is there or going to be."""
    others = Machine.objects.for_member(caller).filter(called(app_name), state__in=[State.CREATING, State.READY])
    return others.exclude(owner_id=caller.id).select_related("owner").order_by("created_at").first()


def _require_possible(environment: Mapping[str, str]) -> None:
    """Raise what would keep a worker from making a machine at all."""
    Fly.from_settings()
    Signer.from_settings()
    if not environment.get("DATABASE_URL") and not settings.DATABASE_DATA_URL:
        raise NoDatabase


@transaction.atomic
def _intended(caller: Caller, app_name: str, environment: Mapping[str, str], region: str, *, now: datetime) -> Machine:
    """The new machine, or the one that another call has recorded just now."""
    # Machines are counted and made behind these locks, so that calls at once can't pass a quota.
    Organization.objects.select_for_update(no_key=True).get(pk=caller.organization_id)
    User.objects.select_for_update(no_key=True).get(pk=caller.id)
    same = Machine.objects.select_for_update(no_key=True).filter(called(app_name), owner_id=caller.id)
    machine = same.first()
    if machine is not None and machine.state != State.FAILED:
        return machine
    quotas.require_own_room(user_id=caller.id)
    quotas.require_room_in_organization(organization_id=caller.organization_id)
    machine = machine or Machine(owner_id=caller.id, organization_id=caller.organization_id, app_name=app_name)
    _begin(machine, environment, region, now=now)
    Member.objects.get_or_create(
        machine=machine,
        user_id=caller.id,
        defaults={"role": Member.Role.OWNER, "linux_user": linux_user_of(caller.id), "created_at": now},
    )
    record(
        "machine.create_requested",
        actor=caller,
        target=machine,
        organization_id=caller.organization_id,
        details={"app": app_name, "fly_app": machine.fly_app_id, "region": machine.region},
    )
    queue.enqueue(machine.pk)
    return machine


def _begin(machine: Machine, environment: Mapping[str, str], region: str, *, now: datetime) -> None:
    """Fill the row for a first attempt, with a name and keys that nothing before it had."""
    pair = sshkeys.generate(comment=f"crayon {slug_of(machine.app_name)}")
    machine.fly_app = fly_apps.intend(name=new_fly_name(), now=now)
    machine.region = region if regions.is_region(region) else settings.FLY_REGION
    machine.state, machine.step, machine.error = State.CREATING, "Waiting for a worker…", ""
    machine.attempts_before, machine.heartbeat_at = machine.attempt, None
    machine.dev_user = linux_user_of(machine.owner_id)
    machine.ssh_public_key = pair.public
    machine.sealed_ssh_key = machine.seal("sealed_ssh_key", pair.private.encode())
    # What the platform sets by itself, such as PORT, is not the caller's to say, nor what root's shells would obey.
    variables = without_start(split(environment, build_prefixes=()).secrets)
    machine.sealed_environment = machine.seal("sealed_environment", orjson.dumps(dict(variables)))
    machine.secrets_version, machine.ready_at = None, None
    machine.database_schema = "" if environment.get("DATABASE_URL") else database_name_of(machine.fly_app_id)
    machine.database_host = ""
    machine.created_at = now
    machine.save()
