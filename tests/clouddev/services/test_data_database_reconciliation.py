"""Comparing the data database with our rows: what is ours and nobody's is dropped, all else is only told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.clients.data_database import DataDatabase
from clouddev.models import Machine
from clouddev.services import provisioning, reconciliation
from clouddev.services.reconciliation import SETTLES_AFTER, Counts
from fly.models import Discrepancy, FlyApp
from fly.services import reconciliation as reconciliation_with_fly
from tests.clouddev.builders import make_machine
from tests.clouddev.data_databases import new_name

pytestmark = pytest.mark.django_db(transaction=True)
OURS = "This server made this role and its schemas, and no workspace uses them any more."
STRANGER = "It is named as workspaces' databases are, but there is no record of it here: is it another server's?"
UNDECIDED = "No workspace uses this role and its schemas, but their app at Fly is not gone."


@pytest.fixture
def database(workshop, data_url):
    return DataDatabase(url=data_url)


def found():
    return list(Discrepancy.objects.values_list("kind", "fly_name", "sentence"))


def left_by_a_frozen_worker(workshop, alice, database):
    """A destroyed machine's role, which was made once more afterwards."""
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    provisioning.work(machine.pk)
    database.provision(machine.database_schema)
    return machine.database_schema


def later(**more):
    return timezone.now() + SETTLES_AFTER + timedelta(**more)


def test_what_machines_use_is_left_alone(workshop, alice, database):
    machine = workshop.make(alice)
    for now in (timezone.now(), later(hours=1)):
        assert reconciliation.reconcile(now=now) == Counts(seen=1)
    assert found() == []
    workshop.require_whole(machine)


def test_what_is_removed_while_the_database_is_asked_is_no_orphan(workshop, alice, database, monkeypatch):
    machine = workshop.make(alice)
    list_names = DataDatabase.list_names

    def overtaken(self):
        names = list_names(self)
        if Machine.objects.exists():
            workshop.destroy(machine, by=alice)
            provisioning.work(machine.pk)
        return names

    monkeypatch.setattr(DataDatabase, "list_names", overtaken)
    assert reconciliation.reconcile(now=timezone.now()) == Counts(seen=1)
    assert found() == []


@pytest.mark.parametrize("state", ["creating", "undoing", "destroying"])
def test_what_is_being_made_or_removed_is_its_workers_business(workshop, alice, database, state):
    machine = make_machine(alice, state=state)
    FlyApp.objects.update(state=FlyApp.State.GONE, gone_at=timezone.now() - timedelta(days=1))
    database.provision(machine.database_schema)
    for now in (timezone.now(), later()):
        assert reconciliation.reconcile(now=now) == Counts(seen=1)
    assert database.list_names() == [machine.database_schema]


def test_an_orphan_of_ours_is_told_first_and_dropped_when_it_is_still_there(workshop, alice, database):
    name = left_by_a_frozen_worker(workshop, alice, database)

    assert reconciliation.reconcile(now=timezone.now()) == Counts(seen=1, orphaned=1)
    assert found() == [("database", name, OURS)]
    assert database.list_names() == [name]

    assert reconciliation.reconcile(now=later()) == Counts(seen=1, orphaned=1, dropped=1)
    assert database.list_names() == found() == []
    assert AuditEvent.objects.filter(action="database.dropped", target_id=name).count() == 1
    workshop.require_nothing_left()


def test_the_first_to_look_long_afterwards_only_tells(workshop, alice, database):
    name = left_by_a_frozen_worker(workshop, alice, database)
    assert reconciliation.reconcile(now=later(days=3)) == Counts(seen=1, orphaned=1)
    assert database.list_names() == [name]


def test_a_failed_machine_has_no_claim_to_a_database(workshop, alice, database, sandbox):
    sandbox.fly_settings(failing_launches=1)
    machine = workshop.make(alice)
    assert machine.state == Machine.State.FAILED
    database.provision(machine.database_schema)
    reconciliation.reconcile(now=timezone.now())
    assert reconciliation.reconcile(now=later()).dropped == 1
    workshop.require_failed(alice)


def test_what_we_have_no_record_of_is_never_dropped(workshop, database):
    name = new_name()
    database.provision(name)
    for now in (timezone.now(), later(), later(days=300)):
        assert reconciliation.reconcile(now=now) == Counts(seen=1, orphaned=1)
    assert found() == [("database", name, STRANGER)]
    assert database.list_names() == [name]


def test_while_the_app_is_not_gone_the_database_stays(workshop, alice, database):
    name = left_by_a_frozen_worker(workshop, alice, database)
    FlyApp.objects.update(state=FlyApp.State.DELETING, gone_at=None)
    for now in (timezone.now(), later()):
        assert reconciliation.reconcile(now=now) == Counts(seen=1, orphaned=1)
    assert found() == [("database", name, UNDECIDED)]


def test_what_was_resolved_is_no_longer_told(workshop, database):
    name = new_name()
    database.provision(name)
    reconciliation.reconcile(now=timezone.now())
    database.drop(name)
    assert reconciliation.reconcile(now=timezone.now()) == Counts()
    assert found() == []


def test_one_that_can_not_be_dropped_is_tried_again(workshop, alice, database, as_superuser):
    name = left_by_a_frozen_worker(workshop, alice, database)
    reconciliation.reconcile(now=timezone.now())
    as_superuser.execute(f"ALTER ROLE {name} CREATEDB")
    assert reconciliation.reconcile(now=later()) == Counts(seen=1, orphaned=1, unfinished=1)
    as_superuser.execute(f"ALTER ROLE {name} NOCREATEDB")
    assert reconciliation.reconcile(now=later()).dropped == 1


def test_the_comparison_with_fly_keeps_these_findings_and_the_reverse(workshop, database, sandbox):
    database.provision(new_name())
    sandbox.add_fly_app("somebody-elses")
    now = timezone.now()
    reconciliation.reconcile(now=now)
    reconciliation_with_fly.reconcile(now=now + timedelta(minutes=5))
    reconciliation.reconcile(now=now + timedelta(minutes=10))
    assert {kind for kind, _, _ in found()} == {"database", "stranger"}


def test_without_a_data_database_there_is_nothing_to_compare(db, settings):
    settings.DATABASE_DATA_URL = ""
    assert reconciliation.reconcile(now=timezone.now()) == Counts()
