"""What an owner of a machine asks for in the moment in which it is not theirs to decide about any more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, User
from clouddev.models import Machine, Member
from clouddev.services import destruction, idle_policy, join, members, retry
from clouddev.services.access import NoSuchMachine, machine_by_id
from tests.clouddev.builders import add_member, make_failed, make_machine
from tests.conftest import make_person

pytestmark = pytest.mark.django_db
Action = Callable[[Machine, User], object]


def _destroy(machine: Machine, by: User) -> None:
    destruction.destroy(machine=machine, actor=by, claim=join.if_decided_by(by))


def _keep(machine: Machine, by: User) -> None:
    now = timezone.now()
    idle_policy.keep_alive(machine=machine, until=now + timedelta(hours=1), actor=by, now=now)


def _try_again(machine: Machine, by: User) -> None:
    retry.try_again(machine=machine, actor=by, now=timezone.now())


def _removed(machine: Machine, alice: User) -> None:
    members.remove_member(machine=machine, login="bob", actor=alice)


def _demoted(machine: Machine, alice: User) -> None:
    members.add_member(machine=machine, login="bob", role=Member.Role.MEMBER, actor=alice, now=timezone.now())


ACTIONS: list[Action] = [_destroy, _keep, _try_again]


@pytest.fixture
def machine(alice, bob, sandbox, settings):
    settings.DATABASE_DATA_URL = "postgres://visibly-fake@localhost/data"

    def make(action: Action) -> Machine:
        made = make_failed(alice) if action is _try_again else make_machine(alice, "studio")
        add_member(made, bob, Member.Role.OWNER)
        return made

    return make


@pytest.mark.parametrize("action", ACTIONS)
def test_an_owner_by_role_may(action, machine, bob):
    made = machine(action)
    action(machine_by_id(person=bob, machine_id=made.pk, action="workspaces.destroy"), bob)
    assert AuditEvent.objects.filter(target_id=str(made.pk), actor_id=bob.pk).count() == 1


@pytest.mark.parametrize("end", [_removed, _demoted])
@pytest.mark.parametrize("action", ACTIONS)
def test_who_was_an_owner_when_they_asked_may_not_any_more(action, end, machine, alice, bob):
    made = machine(action)
    looked_up = machine_by_id(person=bob, machine_id=made.pk, action="workspaces.destroy")
    end(made, alice)
    before = Machine.objects.values().get(pk=made.pk)
    with pytest.raises(NoSuchMachine):
        action(looked_up, bob)
    assert Machine.objects.values().get(pk=made.pk) == before
    assert not AuditEvent.objects.filter(target_id=str(made.pk), actor_id=bob.pk).exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_whose_machine_has_just_become_somebody_elses_does_nothing_to_it(action, machine, alice):
    made = machine(action)
    looked_up = machine_by_id(person=alice, machine_id=made.pk, action="workspaces.destroy")
    charlie = make_person("charlie")
    join.hand_over(machine=made, user=charlie, actor=charlie, now=timezone.now())
    before = Machine.objects.values().get(pk=made.pk)
    with pytest.raises(NoSuchMachine):
        action(looked_up, alice)
    assert Machine.objects.values().get(pk=made.pk) == before
