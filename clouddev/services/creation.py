"""Creating a machine: the intent is recorded, its keys are made, and a worker does the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from django.db import transaction

from accounts.principals import Principal
from accounts.services import access
from clouddev.models import Machine, Member
from clouddev.names import linux_user_of
from clouddev.services import admission, quotas
from clouddev.services.access import require_open
from clouddev.services.tokens import record_fetched
from fly.env_vars import split, without_start
from fly.models import called
from fly.names import labeled

State = Machine.State
_SHARED = (
    "“{name}” is {owner}'s workspace, which is shared with you, so no other was made. To create one of your own of "
    "this name, send `own` as true."
)


@dataclass(frozen=True, slots=True)
class Created:
    """What the caller may know at once."""

    machine: Machine
    private_key: str = field(repr=False)
    message: str = ""


def create(  # noqa: PLR0913 - what is wanted has this many parts
    *,
    caller: Principal,
    app_name: str,
    environment: Mapping[str, str],
    region: str,
    now: datetime,
    own: bool = False,
) -> Created:
    """The caller's machine of this name, begun when there is none or when the last attempt has failed.

    Who has none is given the one of this name that is shared with them, unless it is to be their `own`. `region` is
    where it shall be if there is room. Raises NotAnAppName, NoDatabase, QuotaReached, BeingRemoved,
    OrganizationSuspended, TooManyRequests, AccessEnded, and what says that this server isn't configured for machines.
    """
    app_name = labeled(app_name)
    machine = Machine.objects.filter(called(app_name), owner_id=caller.id).select_related("organization").first()
    if machine is not None:
        require_open(machine)
    elif not own and (shared := _shared(caller, app_name)) is not None:
        message = _SHARED.format(name=shared.app_name, owner=shared.owner.get_short_name())
        private_key = shared.sealed_ssh_key.open().decode()
        record_fetched("ssh_key.fetched", shared, caller)
        return Created(shared, private_key, message)
    is_made = machine is not None and machine.state != State.FAILED
    if machine is None or machine.state == State.FAILED:
        admission.require_possible(brings_database=bool(environment.get("DATABASE_URL")))
        admission.CREATIONS.spend(str(caller.id))
        machine = _intended(caller, app_name, environment, region, machine, now=now)
    if machine.state in {State.DESTROYING, State.UNDOING}:
        raise admission.BeingRemoved
    private_key = machine.sealed_ssh_key.open().decode()
    if is_made:
        # Whoever asks for a machine that is there is given its key, as by `ssh-key`.
        record_fetched("ssh_key.fetched", machine, caller)
    return Created(machine, private_key)


def _shared(caller: Principal, app_name: str) -> Machine | None:
    """The machine of this name that somebody else has let the caller use, and that is there or going to be."""
    others = Machine.objects.for_member(caller).filter(called(app_name), state__in=[State.CREATING, State.READY])
    return others.exclude(owner_id=caller.id).select_related("owner").order_by("created_at", "pk").first()


@transaction.atomic
def _intended(  # noqa: PLR0913 - the same
    caller: Principal,
    app_name: str,
    environment: Mapping[str, str],
    region: str,
    failed: Machine | None,
    *,
    now: datetime,
) -> Machine:
    """The new machine, or the one that another call has recorded just now."""
    organizations = {caller.organization_id, *([failed.organization_id] if failed else [])}
    admission.hold_counts(people=[caller.id], organization_ids=organizations)
    access.hold(caller)
    same = Machine.objects.select_for_update(no_key=True).filter(called(app_name), owner_id=caller.id)
    machine = same.first()
    if machine is not None and machine.state != State.FAILED:
        return machine
    machine = machine or Machine(owner_id=caller.id, organization_id=caller.organization_id, app_name=app_name)
    quotas.require_own_room(user_id=caller.id)
    quotas.require_room_in_organization(organization_id=machine.organization_id)
    # What the platform sets by itself, such as PORT, is not the caller's to say, nor what root's shells would obey.
    variables = dict(without_start(split(environment, build_prefixes=()).secrets))
    machine.sealed_environment = orjson.dumps(variables)
    machine.had_variables = bool(variables)
    brings_database = bool(environment.get("DATABASE_URL"))
    admission.begin(machine=machine, region=region, brings_database=brings_database, actor=caller, now=now)
    Member.objects.get_or_create(
        machine=machine,
        user_id=caller.id,
        defaults={"role": Member.Role.OWNER, "linux_user": linux_user_of(caller.id), "created_at": now},
    )
    return machine
