"""Destroying a machine, also while it is made; and many workers and orders at once."""

import psycopg
import pytest

from clouddev.models import Machine, Member
from clouddev.services import admission, provisioning
from tests.clouddev.worker_harness import at_fly, wait_for
from tests.fly.fly_assertions import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_destroying_removes_everything_and_the_row_last(workshop, alice):
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    assert workshop.status(alice).status == "destroying"
    assert workshop.status(alice).message == "Waiting for a worker…"
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    assert not Member.objects.exists()
    assert workshop.status(alice).status == "not_found"
    workshop.require_nothing_left()


def test_destroying_ends_who_uses_the_database_and_takes_all_tables_along(workshop, alice, as_superuser):
    machine = workshop.make(alice)
    url = at_fly(workshop)[4]["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("CREATE TABLE plans (secret_plan text)")
        workshop.destroy(machine, by=alice)
        provisioning.work(machine.pk)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    workshop.require_nothing_left()


def test_a_failed_one_is_destroyed_like_any_other(workshop, alice, sandbox):
    sandbox.fly_settings(failing_launches=1)
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


@pytest.mark.parametrize("ordered", ["POST /v1/apps$", "POST */secrets", "POST */machines"])
def test_who_destroys_it_while_it_is_made_need_not_wait_for_anybody(workshop, alice, sandbox, ordered):
    """The worker that was making it finds out and removes it at once."""
    machine = workshop.order(alice)
    sandbox.faults(target="fly", match=ordered, delay=1.2)

    def order_destruction():
        wait_for(lambda: not sandbox.control("GET", "/faults")["faults"], "Fly is asked")
        workshop.destroy(machine, by=alice)

    failures = at_once(2, lambda number: order_destruction() if number else provisioning.work(machine.pk))

    assert failures == [None, None]
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


def test_of_many_workers_at_once_one_makes_it(workshop, alice, sandbox):
    machine = workshop.order(alice)
    assert at_once(6, lambda _: provisioning.work(machine.pk)) == [None] * 6
    machine = workshop.require_whole(machine)
    assert machine.attempt == 1
    assert [entry["method"] for entry in sandbox.requests("fly")].count("POST") == 6


def test_of_many_orders_at_once_one_machine_results(workshop, alice):
    machines = at_once(6, lambda _: workshop.order(alice))
    assert len({machine.pk for machine in machines}) == 1
    assert len({machine.fly_app_id for machine in machines}) == 1
    provisioning.work(machines[0].pk)
    workshop.require_whole(machines[0])


def test_while_it_is_removed_its_name_can_not_be_had(workshop, alice):
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    with pytest.raises(admission.BeingRemoved):
        workshop.order(alice)
