"""Whose a machine is: looked up with its members, so that absent and another's look the same."""

from clouddev.models import Machine
from clouddev.models.machines import MachineQuerySet, Person
from config.core.errors import NotFound


class NoSuchMachine(NotFound):
    """404: the person is no member of a machine of that name."""

    default = "You have no machine of this name. Create it first."


def machine_of_member(*, person: Person, app_name: str) -> Machine:
    """The machine of this name that the person may use, their own before others'. Raises NoSuchMachine."""
    return _first(Machine.objects.for_member(person).filter(app_name=app_name), person)


def machine_of_owner(*, person: Person, app_name: str) -> Machine:
    """The machine of this name that the person decides about. Raises NoSuchMachine."""
    return _first(Machine.objects.for_owner(person).filter(app_name=app_name), person)


def machine_by_fly_name(*, person: Person, fly_name: str) -> Machine:
    """The machine with this name at Fly, if the person may use it. Raises NoSuchMachine."""
    return _first(Machine.objects.for_member(person).filter(fly_app_id=fly_name), person)


def _first(found: MachineQuerySet, person: Person) -> Machine:
    machines = sorted(found[:100], key=lambda machine: (machine.owner_id != person.id, machine.created_at))
    if not machines:
        raise NoSuchMachine
    return machines[0]
