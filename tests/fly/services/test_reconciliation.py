"""Comparing what Fly has with what we know."""

import logging
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine
from deployments.models import Deployment
from deployments.services import destruction, preparation
from fly.clients.machines_api import Fly, FlyFailed
from fly.models import Discrepancy, FlyApp
from fly.services import fly_apps, reconciliation
from tests.clouddev.builders import make_machine
from tests.fly.fly_assertions import age, apps_at_fly, at_once, caller, changes_at_fly, kinds_at_fly

Kind = Discrepancy.Kind
State = FlyApp.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(alice, sandbox):
    """A whole app, made a while ago."""
    deployment = preparation.prepare(caller=caller(alice), app_name="shop", now=timezone.now())
    Deployment.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    age(deployment.fly_app, minutes=10)
    sandbox.clear_requests()
    return deployment


def reconcile(*, after=timedelta()):
    """What a run, so much later, counts but zeros."""
    counts = reconciliation.reconcile(now=timezone.now() + after)
    return {name: count for name, count in vars(counts).items() if count}


def found():
    return set(Discrepancy.objects.values_list("kind", "fly_name"))


def unused(name="crayon-0123456789abcdef", **fields):
    """A row that nothing uses, of a while ago."""
    long_ago = timezone.now() - timedelta(minutes=10)
    return FlyApp.objects.create(name=name, network=f"{name}-net", **{"created_at": long_ago, **fields})


def test_where_all_agree_two_questions_are_asked_and_nothing_done(shop, sandbox):
    assert reconcile() == {"seen": 1}

    asked = [(entry["method"], entry["path"]) for entry in sandbox.requests("fly")]
    assert asked == [("GET", "/v1/apps"), ("GET", "/v1/orgs/sandbox/machines")]
    assert found() == set()


def test_it_takes_the_same_few_queries_for_many_apps(alice, sandbox, django_assert_max_num_queries):
    person = caller(alice)
    for number in range(10):
        preparation.prepare(caller=person, app_name=f"app-{number}", now=timezone.now())

    with django_assert_max_num_queries(14):
        assert reconcile() == {"seen": 10}


def test_a_stranger_is_shown_and_left_alone(shop, sandbox):
    sandbox.add_fly_app("somebodys-app")
    sandbox.add_fly_app("crayon-ffffffffffffffff")

    assert reconcile() == {"seen": 3, "strangers": 2}
    assert reconcile(after=timedelta(hours=1)) == {"seen": 3, "strangers": 2}

    assert found() == {(Kind.STRANGER, "somebodys-app"), (Kind.STRANGER, "crayon-ffffffffffffffff")}
    assert "another server's?" in Discrepancy.objects.get(fly_name="crayon-ffffffffffffffff").sentence
    assert {"somebodys-app", "crayon-ffffffffffffffff"} < apps_at_fly(sandbox)
    assert changes_at_fly(sandbox) == []


def test_other_organizations_and_flys_own_builders_are_no_business_of_ours(shop, sandbox):
    sandbox.add_fly_app("elsewhere", org_slug="somebody-else")
    sandbox.add_fly_app("fly-builder-misty-sea-1234")

    assert reconcile() == {"seen": 2}


def test_an_app_of_our_name_on_a_network_that_is_not_ours_is_a_stranger(sandbox):
    row = unused(state=State.GONE, gone_at=timezone.now() - timedelta(hours=1))
    sandbox.add_fly_app(row.name, network="another")

    for _ in range(2):
        assert reconcile(after=timedelta(hours=1)) == {"seen": 1, "strangers": 1}

    assert apps_at_fly(sandbox) == {row.name}


def test_what_fly_lost_is_shown(shop, sandbox):
    sandbox.remove_fly_app(shop.fly_app_id)

    assert reconcile() == {"missing": 1}

    assert found() == {(Kind.MISSING, shop.fly_app_id)}
    assert Deployment.objects.get().state == Deployment.State.READY


def test_what_fly_does_not_list_but_has_is_not_missing(shop, sandbox):
    sandbox.faults(target="fly", match="GET /v1/apps$", body={"total_apps": 1, "apps": []})

    assert reconcile() == {}


def test_what_is_deleted_here_while_fly_is_asked_is_not_missing(alice, shop, sandbox, monkeypatch):
    sandbox.remove_fly_app(shop.fly_app_id)
    get_app = Fly.get_app

    def overtaken(self, name):
        try:
            return get_app(self, name)
        finally:
            assert destruction.destroy(owner=alice, app_name="shop", now=timezone.now())

    monkeypatch.setattr(Fly, "get_app", overtaken)
    reconcile()

    assert found() == set()


def test_what_was_just_made_is_not_missing(shop, sandbox):
    FlyApp.objects.update(ready_at=timezone.now())
    sandbox.remove_fly_app(shop.fly_app_id)

    assert reconcile() == {}


def test_what_is_resolved_is_forgotten_and_what_stays_keeps_its_beginning(shop, sandbox):
    sandbox.add_fly_app("stays")
    sandbox.add_fly_app("goes")
    reconcile()
    began = Discrepancy.objects.get(fly_name="stays").first_seen_at
    sandbox.remove_fly_app("goes")

    reconcile(after=timedelta(minutes=1))

    kept = Discrepancy.objects.get()
    assert (kept.fly_name, kept.first_seen_at) == ("stays", began)
    assert kept.last_seen_at > began


def test_an_app_that_nothing_uses_is_deleted_when_seen_so_twice(sandbox):
    row = unused()
    fly_apps.ensure(fly_app_id=row.pk, now=timezone.now())

    assert reconcile() == {"seen": 1, "abandoned": 1}
    assert apps_at_fly(sandbox) == {row.name}
    assert reconcile(after=timedelta(minutes=1)) == {"seen": 1, "abandoned": 1}
    assert apps_at_fly(sandbox) == {row.name}
    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "abandoned": 1, "removed": 1}

    assert apps_at_fly(sandbox) == set()
    row.refresh_from_db()
    assert row.state == State.GONE
    assert AuditEvent.objects.get(action="fly_app.removed").target_id == row.name
    assert reconcile(after=timedelta(minutes=7)) == {}
    assert found() == set()


def test_an_app_that_is_used_again_is_not_deleted(alice, sandbox):
    row = unused()
    fly_apps.ensure(fly_app_id=row.pk, now=timezone.now())
    reconcile()
    Deployment.objects.create(
        owner=alice,
        organization=alice.personal_organization,
        app_name="shop",
        fly_app=row,
        state=Deployment.State.READY,
        created_at=timezone.now(),
    )

    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1}
    assert apps_at_fly(sandbox) == {row.name}


def test_what_came_into_use_at_the_last_moment_is_kept(alice, sandbox, monkeypatch):
    row = unused()
    fly_apps.ensure(fly_app_id=row.pk, now=timezone.now())
    reconcile()
    get_app = reconciliation.Fly.get_app

    def use_and_get(fly, name):
        Deployment.objects.create(
            owner=alice,
            organization=alice.personal_organization,
            app_name="shop",
            fly_app=row,
            state=Deployment.State.READY,
            created_at=timezone.now(),
        )
        return get_app(fly, name)

    monkeypatch.setattr(reconciliation.Fly, "get_app", use_and_get)

    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "abandoned": 1, "unfinished": 1}
    assert apps_at_fly(sandbox) == {row.name}


def test_an_app_that_was_made_after_its_deletion_is_deleted_again(sandbox):
    """As when a request to make it was held up on its way."""
    row = unused(state=State.GONE, gone_at=timezone.now() - timedelta(minutes=10))
    sandbox.add_fly_app(row.name, network=row.network)

    assert reconcile() == {"seen": 1, "abandoned": 1}
    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "abandoned": 1, "removed": 1}

    assert apps_at_fly(sandbox) == set()
    row.refresh_from_db()
    assert row.state == State.GONE


@pytest.mark.parametrize("fault", [None, {"status": 500}])
def test_an_app_that_fly_denied_when_it_was_deleted_goes_though_a_failed_machine_points_at_it(alice, sandbox, fault):
    """For up to a minute Fly may not see everywhere what was just made."""
    row = make_machine(alice, state=Machine.State.FAILED).fly_app
    FlyApp.objects.update(state=State.READY, ready_at=timezone.now())
    sandbox.add_fly_app(row.name, network=row.network)
    sandbox.faults(target="fly", match="DELETE /v1/apps", status=404)
    fly_apps.remove(fly_app_id=row.pk, now=timezone.now())
    row.refresh_from_db()
    assert (row.state, apps_at_fly(sandbox)) == (State.GONE, {row.name})

    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "abandoned": 1}
    if fault:
        sandbox.faults(target="fly", match="DELETE /v1/apps", **fault)
        assert reconcile(after=timedelta(minutes=12)) == {"seen": 1, "abandoned": 1, "unfinished": 1}
        assert reconcile(after=timedelta(minutes=13)) == {"removed": 1}
    else:
        assert reconcile(after=timedelta(minutes=12)) == {"seen": 1, "abandoned": 1, "removed": 1}

    row.refresh_from_db()
    assert (row.state, apps_at_fly(sandbox)) == (State.GONE, set())
    assert reconcile(after=timedelta(minutes=20)) == {}


def test_what_fly_is_still_deleting_is_left_to_it(sandbox):
    row = unused(state=State.GONE, gone_at=timezone.now() - timedelta(minutes=1))
    sandbox.add_fly_app(row.name, network=row.network)

    assert reconcile() == {"seen": 1}


def test_a_list_without_networks_is_not_believed_before_deleting(sandbox):
    row = unused(state=State.GONE, gone_at=timezone.now() - timedelta(minutes=10))
    sandbox.add_fly_app(row.name, network="another")
    listed = {"apps": [{"name": row.name}]}
    sandbox.faults(target="fly", match="GET /v1/apps$", body=listed, times=2)

    reconcile()
    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "abandoned": 1, "unfinished": 1}

    assert apps_at_fly(sandbox) == {row.name}


def test_what_a_killed_process_was_making_is_finished(alice, sandbox):
    person = caller(alice)
    sandbox.faults(target="fly", match="POST */ip_assignments", status=500)
    with pytest.raises(FlyFailed):
        preparation.prepare(caller=person, app_name="shop", now=timezone.now())
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now())

    assert reconcile() == {"seen": 1}
    assert reconcile(after=timedelta(minutes=1)) == {"seen": 1, "prepared": 1}

    deployment = Deployment.objects.get()
    assert deployment.state == Deployment.State.READY
    assert kinds_at_fly(sandbox, deployment.fly_app_id) == ["shared_v4", "v6"]


def test_what_a_killed_process_recorded_before_it_asked_fly_is_made(alice, sandbox):
    """The last line before the first call to Fly. What was recorded a moment ago is left to who did."""
    deployment = Deployment.objects.create(
        owner=alice,
        organization=alice.personal_organization,
        app_name="shop",
        fly_app=fly_apps.intend(now=timezone.now()),
        created_at=timezone.now(),
    )
    assert reconcile() == {}
    Deployment.objects.filter(pk=deployment.pk).update(created_at=timezone.now() - timedelta(minutes=1))

    assert reconcile() == {"seen": 1, "prepared": 1}
    assert Deployment.objects.get().state == Deployment.State.READY


def test_a_removal_that_failed_is_finished(alice, shop, sandbox):
    sandbox.faults(target="fly", match="DELETE /v1/apps", status=500)
    destruction.destroy(owner=alice, app_name="shop", now=timezone.now())

    assert reconcile() == {"destroyed": 1}

    assert not Deployment.objects.exists()
    assert apps_at_fly(sandbox) == set()


def test_a_row_left_between_fly_and_its_deletion_goes(shop, sandbox):
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    fly_apps.remove(fly_app_id=shop.fly_app_id, now=timezone.now())

    assert reconcile() == {"destroyed": 1}
    assert not Deployment.objects.exists()


def test_a_deletion_that_nothing_waits_for_is_finished(sandbox):
    row = unused()
    fly_apps.ensure(fly_app_id=row.pk, now=timezone.now())
    FlyApp.objects.update(state=State.DELETING)

    assert reconcile() == {"removed": 1}
    assert apps_at_fly(sandbox) == set()


def test_one_failure_keeps_nothing_else_from_being_done(alice, bob, sandbox):
    for person in (alice, bob):
        Deployment.objects.create(
            owner=person,
            organization=person.personal_organization,
            app_name="shop",
            fly_app=fly_apps.intend(now=timezone.now()),
            created_at=timezone.now() - timedelta(minutes=1),
        )
    sandbox.faults(target="fly", match="POST /v1/apps$", status=500)

    assert reconcile() == {"seen": 1, "prepared": 1, "unfinished": 1}
    assert reconcile() == {"seen": 2, "prepared": 1}


def test_when_fly_can_not_be_asked_nothing_is_forgotten(shop, sandbox):
    sandbox.add_fly_app("somebodys-app")
    reconcile()
    sandbox.faults(target="fly", match="GET /v1/apps$", status=500)

    with pytest.raises(FlyFailed):
        reconcile()

    assert found() == {(Kind.STRANGER, "somebodys-app")}


def test_without_a_token_for_fly_there_is_nothing_to_compare(shop, sandbox, settings):
    unused(state=State.DELETING)
    settings.FLY_API_TOKEN = ""

    assert reconcile() == {}

    assert sandbox.requests("fly") == []


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == reconciliation.__name__]


def test_what_was_done_and_found_is_logged_in_one_line(shop, sandbox, caplog):
    caplog.set_level(logging.INFO, logger=reconciliation.__name__)
    unused(state=State.DELETING)
    sandbox.add_fly_app("somebodys-app")

    reconcile()

    assert said(caplog) == ["compared with Fly: removed 1, strangers 1"]


def test_where_all_agree_nothing_is_logged(shop, caplog):
    caplog.set_level(logging.INFO, logger=reconciliation.__name__)

    assert reconcile() == {"seen": 1}

    assert said(caplog) == []


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_do_no_harm(alice, sandbox):
    person = caller(alice)
    sandbox.faults(target="fly", match="POST */ip_assignments", status=500)
    with pytest.raises(FlyFailed):
        preparation.prepare(caller=person, app_name="shop", now=timezone.now())
    sandbox.add_fly_app("somebodys-app")

    outcomes = at_once(4, lambda _: reconcile(after=timedelta(minutes=1)))

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    deployment = Deployment.objects.get()
    assert kinds_at_fly(sandbox, deployment.fly_app_id) == ["shared_v4", "v6"]
    assert found() == {(Kind.STRANGER, "somebodys-app")}


def test_what_a_run_found_stays_when_an_older_one_finds_it_meanwhile():
    now = timezone.now()
    findings = {(Kind.STRANGER, "somebodys-app"): "Whose is it?"}
    older = [now - timedelta(seconds=1)]

    def meanwhile(execute, sql, params, many, context):
        if sql.startswith("DELETE") and older:
            Discrepancy.objects.replace(kinds=[Kind.STRANGER], findings=findings, now=older.pop())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meanwhile):
        Discrepancy.objects.replace(kinds=[Kind.STRANGER], findings=findings, now=now)

    assert older == []
    assert found() == {(Kind.STRANGER, "somebodys-app")}


def test_an_older_run_forgets_nothing_that_a_later_one_has_found():
    now = timezone.now()
    findings = {(Kind.STRANGER, "somebodys-app"): "Whose is it?"}
    Discrepancy.objects.replace(kinds=[Kind.STRANGER], findings=findings, now=now)

    Discrepancy.objects.replace(kinds=[Kind.STRANGER], findings={}, now=now - timedelta(seconds=1))

    assert found() == {(Kind.STRANGER, "somebodys-app")}
