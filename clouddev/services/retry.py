"""Making a machine again that has failed, as its creator wanted it: what its page has a button for.

Nothing is left of the failed attempt by then, since only what has been undone has failed. `creation.create` begins
anew, too, with the variables that it is given.
"""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.services import access
from clouddev.models import Machine
from clouddev.services import admission, join, kept_env, quotas
from clouddev.services.access import NoSuchMachine
from core.errors import Conflict, Unavailable

State = Machine.State


class VariablesErased(Conflict):
    """409: what the machine was to be given is not known any more."""

    default = (
        "The variables that it was created with are erased, as they are an hour after a failure. Run "
        "`crayon cloud run` in the app's folder to create it anew."
    )


class NoDatabaseLeft(Unavailable):
    """503: the machine was to have a database of this server's, which has none any more."""

    default = (
        "This server has no database for workspaces any more; ask an operator for DATABASE_DATA_URL, or create the "
        "workspace anew with a DATABASE_URL of your own."
    )


def try_again(*, machine: Machine, actor: access.Doer, now: datetime) -> bool:
    """Begin anew to make a machine that has failed; False when that is under way already, or it is there.

    `machine` is then as it has become. Raises BeingRemoved, VariablesErased, NoDatabaseLeft, QuotaReached,
    NoSuchMachine for one that has just gone or that the actor no longer decides about, TooManyRequests, AccessEnded,
    and what says that this server isn't configured for machines.
    """
    if machine.state != State.FAILED:
        _require_not_going(machine)
        return False
    try:
        admission.require_possible(brings_database=not machine.database_schema)
    except admission.NoDatabase as error:
        raise NoDatabaseLeft from error
    admission.CREATIONS.spend(str(actor.id))
    begun = _begin(machine, actor, now=now)
    machine.refresh_from_db()
    return begun


@transaction.atomic
def _begin(seen: Machine, actor: access.Doer, *, now: datetime) -> bool:
    admission.hold_counts(people=[seen.owner_id, actor.id], organization_ids=[seen.organization_id])
    access.hold(actor)
    same = Machine.objects.filter(pk=seen.pk, owner_id=seen.owner_id, organization_id=seen.organization_id)
    machine = same.select_for_update(no_key=True).first()
    if machine is None:
        raise NoSuchMachine
    join.require_decider(machine, actor)
    if machine.state != State.FAILED:
        _require_not_going(machine)
        return False
    owner = User.objects.get(pk=machine.owner_id)
    if machine.had_variables:
        # Also those that nobody has come to erase yet.
        is_over = machine.sealed_environment is None or not kept_env.are_known(machine, now=now)
        if is_over or not owner.is_active:
            raise VariablesErased
    _require_room(machine, owner, actor)
    admission.begin(
        machine=machine, region=machine.region, brings_database=not machine.database_schema, actor=actor, now=now
    )
    return True


def _require_room(machine: Machine, owner: User, actor: access.Doer) -> None:
    """Raise QuotaReached as creating it would; an owner by role is told whose quota it is."""
    if owner.pk == actor.id:
        quotas.require_own_room(user_id=owner.pk)
        quotas.require_room_in_organization(organization_id=machine.organization_id)
    else:
        quotas.require_room_of(user_id=owner.pk, login=owner.get_short_name())
        quotas.require_room_in_organization(organization_id=machine.organization_id, whose="Its")


def _require_not_going(machine: Machine) -> None:
    if machine.state in {State.DESTROYING, State.UNDOING}:
        raise admission.BeingRemoved
