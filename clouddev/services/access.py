"""Finding a person's machine: looked up through its members, so that one that is absent and a stranger's look alike."""

import uuid
from typing import Any, cast

from django.conf import settings
from django.db.models import Case, F, Value, When

from accounts.policies import Acting, Resource, decide
from clouddev.models import Machine, Member
from clouddev.models.machines import MachineQuerySet
from clouddev.names import is_fly_name
from core.errors import Forbidden, NotFound
from fly.models import called


class NoSuchMachine(NotFound):
    """404: the person is no member of a machine of that name."""

    default = "You have no workspace of this name. Create it first."


class OwnersByRole(NoSuchMachine):
    """404: no machine of this name is the person's very own; one is somebody else's, where they are an owner too."""

    def __init__(self, machine: Machine) -> None:
        page = f"{settings.PUBLIC_URL}/workspaces/{machine.pk}/"
        super().__init__(
            f"The workspace of this name is {machine.owner.get_short_name()}'s, and by its name only they can do this. "
            f"As an owner, you can on its page: {page}"
        )


class OrganizationSuspended(Forbidden):
    """403: the machine is the person's own, and its organization is suspended."""

    default = "The organization of this workspace is suspended. Ask an operator of this server to restore it."


class NoSuchWorkspace(NoSuchMachine):
    """404: the person is no member of it, or doesn't decide about it, or it is gone."""

    default = "You have no such workspace, or it is not yours to decide about, or it is no longer there."


def workspace(machine: Machine, *, role: str, is_suspended: bool = False) -> Resource:
    """The machine as policies know it, with what whoever asks is of it: `Member.Role`, or nothing."""
    return Resource(
        type="Workspace",
        id=machine.pk,
        organization_id=machine.organization_id,
        maker_id=machine.owner_id,
        role=role,
        is_suspended=is_suspended,
    )


def machine_of_member(*, person: Acting, app_name: str, action: str) -> Machine:
    """The machine of this name that the person may do this to, their own before others'. Raises NoSuchMachine."""
    return _first(Machine.objects.for_member(person).filter(called(app_name)), person, action)


def machine_of_owner(*, person: Acting, app_name: str, action: str) -> Machine:
    """The same among those that the person decides about. Raises NoSuchMachine."""
    return _first(Machine.objects.for_owner(person).filter(called(app_name)), person, action)


def own_machine(*, person: Acting, app_name: str, action: str, even_suspended: bool = False) -> Machine:
    """The person's very own machine of this name. Raises NoSuchMachine, OwnersByRole and OrganizationSuspended.

    For what can't be taken back: repeated, it must not meet the machine of somebody else that has this name too.
    """
    own = Machine.objects.filter(called(app_name), owner_id=person.id).select_related("organization").first()
    if own is None:
        others = Machine.objects.for_owner(person).filter(called(app_name)).select_related("owner").first()
        raise NoSuchMachine if others is None else OwnersByRole(others)
    if not even_suspended:
        require_open(own)
    if not decide(person, action, workspace(own, role=Member.Role.OWNER)).allowed:
        raise NoSuchMachine
    return own


def require_open(machine: Machine) -> None:
    """Raise OrganizationSuspended for a machine of a suspended organization; for whoever may know of it."""
    if machine.organization.suspended_at is not None:
        raise OrganizationSuspended


def machine_by_fly_name(*, person: Acting, fly_name: str, action: str) -> Machine:
    """The machine with this name at Fly, if the person may do this to it. Raises NoSuchMachine."""
    if not is_fly_name(fly_name):
        raise NoSuchMachine
    return _first(Machine.objects.for_member(person).filter(fly_app_id=fly_name), person, action)


def machine_by_id(*, person: Acting, machine_id: uuid.UUID, action: str) -> Machine:
    """The machine, if the person may do this to it. Raises NoSuchWorkspace."""
    found = Machine.objects.for_member(person).select_related("owner").filter(pk=machine_id)
    try:
        return _first(found, person, action)
    except NoSuchMachine as error:
        raise NoSuchWorkspace from error


def deciders_of(machine: Machine) -> set[uuid.UUID]:
    """Give the ids of whom an action on the machine concerns: its owner, and members with the role of an owner."""
    owners = Member.objects.filter(machine=machine, role=Member.Role.OWNER).values_list("user_id", flat=True)
    return {machine.owner_id, *owners}


def _first(found: MachineQuerySet, person: Acting, action: str) -> Machine:
    """The first of these that are found through their members, if the policies allow it: else it looks absent."""
    of_others = Case(When(owner_id=person.id, then=Value(0)), default=Value(1))
    with_role = found.annotate(role_of_asker=F("members__role"))
    machine = with_role.order_by(of_others, "created_at", "pk").first()
    if machine is None:
        raise NoSuchMachine
    role = cast("Any", machine).role_of_asker
    if not decide(person, action, workspace(machine, role=role)).allowed:
        raise NoSuchMachine
    return machine
