"""Removing an app: nothing of it stays at Fly, and nothing is forgotten before."""

import uuid
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.models import AuditEvent
from deployments.models import Build, BuildLogChunk, Deployment
from deployments.services import building, destruction, preparation
from deployments.services.access import NoSuchApp
from fly.models import FlyApp
from tests.fly.fly_assertions import apps_at_fly, at_once, caller, changes_at_fly

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(alice, sandbox):
    return preparation.prepare(caller=caller(alice), app_name="shop", now=timezone.now())


def build_of(deployment, **fields):
    now = timezone.now()
    return Build.objects.create(
        deployment=deployment,
        organization=deployment.organization,
        **{"created_at": now, "accepted_at": now, "heartbeat_at": now, "released_at": now, **fields},
    )


def destroy(person, name="shop"):
    return destruction.destroy(owner=person, app_name=name, now=timezone.now())


def finish(deployment):
    return destruction.finish(deployment_id=deployment.pk, now=timezone.now())


def test_its_owner_removes_an_app_with_all_it_has(alice, shop, sandbox):
    build = build_of(shop, state=Build.State.LIVE, finished_at=timezone.now())
    BuildLogChunk.objects.create(build=build, start=0, text="hello")

    assert destroy(alice) is True

    held = sandbox.state()["fly"]
    assert [held[kind] for kind in ("apps", "machines", "ips", "secrets", "tokens")] == [{}] * 5
    assert not Deployment.objects.exists()
    assert not Build.objects.exists()
    assert FlyApp.objects.get().state == FlyApp.State.GONE


def test_it_is_in_the_audit_trail(alice, shop):
    destroy(alice)

    event = AuditEvent.objects.get(action="deployment.destroyed")
    assert (event.actor_id, event.target_id, event.target_label) == (alice.pk, str(shop.pk), "shop")
    assert event.details == {"app": "shop", "fly_app": shop.fly_app_id}


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_to_anybody_else_it_is_not_there(shop, sandbox, request, name):
    person = request.getfixturevalue(name)

    with pytest.raises(NoSuchApp) as refused:
        destroy(person)
    with pytest.raises(NoSuchApp) as unknown:
        destroy(person, "no-such-app")

    assert refused.value.sentence == unknown.value.sentence
    assert apps_at_fly(sandbox) == {shop.fly_app_id}
    assert Deployment.objects.get().state == Deployment.State.READY


@pytest.fixture
def another(alice, shop):
    """Another app of alice's, which comes first by name."""
    return preparation.prepare(caller=caller(alice), app_name="another", now=timezone.now())


def test_an_operator_removes_anybodys_and_nothing_beside_it(charlie, shop, another, sandbox):
    assert destruction.destroy_any(operator=charlie, deployment_id=shop.pk, now=timezone.now()) is True

    assert apps_at_fly(sandbox) == {another.fly_app_id}
    assert Deployment.objects.get().state == Deployment.State.READY
    assert AuditEvent.objects.get(action="deployment.destroyed").actor_id == charlie.pk
    with pytest.raises(NoSuchApp):
        destruction.destroy_any(operator=charlie, deployment_id=uuid.uuid4(), now=timezone.now())


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "before", "times": 2},
        {"drop": "after", "times": 2},
        {"status": 500},
        {"status": 401},
        {"status": 403},
        {"status": 429},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_when_fly_fails_the_row_stays_until_it_is_done(alice, shop, sandbox, fault):
    sandbox.faults(target="fly", match="DELETE /v1/apps", **fault)

    assert destroy(alice) is False
    assert Deployment.objects.get().state == Deployment.State.DESTROYING
    assert finish(shop) is True

    assert not Deployment.objects.exists()
    assert apps_at_fly(sandbox) == set()


def test_removing_twice_is_one_removal(alice, shop, sandbox):
    sandbox.faults(target="fly", match="DELETE /v1/apps", status=500)
    destroy(alice)

    assert destroy(alice) is True
    assert AuditEvent.objects.filter(action="deployment.destroyed").count() == 1
    assert finish(shop) is True


def test_of_several_that_are_on_their_way_out_the_one_that_is_meant_is_finished(alice, shop, another, sandbox):
    sandbox.faults(target="fly", match="DELETE /v1/apps", status=500, times=2)
    for name in ("shop", "another"):
        assert destroy(alice, name) is False

    assert finish(shop) is True
    assert Deployment.objects.get() == another
    assert apps_at_fly(sandbox) == {another.fly_app_id}


def test_builds_that_are_long_over_cost_no_query_each(alice, shop, django_assert_max_num_queries):
    for _ in range(20):
        build_of(shop, state=Build.State.LIVE, finished_at=timezone.now())

    with django_assert_max_num_queries(30):
        assert destroy(alice) is True


def test_without_a_token_for_fly_it_is_remembered(alice, shop, settings):
    settings.FLY_API_TOKEN = ""

    assert destroy(alice) is False
    assert Deployment.objects.get().state == Deployment.State.DESTROYING


def test_only_what_is_to_be_destroyed_is_finished(shop, sandbox):
    assert finish(shop) is False
    assert apps_at_fly(sandbox) == {shop.fly_app_id}


def test_a_running_build_is_stopped_first(alice, shop, sandbox):
    build = build_of(shop, state=Build.State.BUILDING, attempt=1, heartbeat_at=timezone.now())

    assert destroy(alice) is False
    build.refresh_from_db()
    assert build.cancel_requested_at is not None
    assert apps_at_fly(sandbox) == {shop.fly_app_id}

    Build.objects.update(state=Build.State.CANCELED, finished_at=timezone.now())
    assert finish(shop) is True
    assert apps_at_fly(sandbox) == set()


@pytest.fixture
def sweep(settings, tmp_path):
    """What workers do every few seconds."""
    settings.BUILD_FOLDER = tmp_path
    return building.sweep


def test_once_its_build_has_stopped_the_workers_finish_within_seconds(alice, shop, sandbox, sweep):
    build_of(shop, state=Build.State.BUILDING, attempt=1, heartbeat_at=timezone.now())
    destroy(alice)
    sweep()
    assert apps_at_fly(sandbox) == {shop.fly_app_id}

    Build.objects.update(state=Build.State.CANCELED, finished_at=timezone.now())
    sweep()

    assert apps_at_fly(sandbox) == set()
    assert not Deployment.objects.exists()


def test_an_app_that_can_not_be_removed_keeps_no_other_from_it_and_is_left_to_the_reconciler(
    alice, shop, sandbox, sweep
):
    blog = preparation.prepare(caller=caller(alice), app_name="blog", now=timezone.now())
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    sandbox.faults(target="fly", match=f"DELETE /v1/apps/{shop.fly_app_id}", status=500, times=0)
    sandbox.clear_requests()

    sweep()
    sweep()

    assert Deployment.objects.get().pk == shop.pk
    assert sorted(changes_at_fly(sandbox)) == sorted(
        f"DELETE /v1/apps/{name}" for name in (shop.fly_app_id, blog.fly_app_id)
    )


def test_an_app_that_nobody_removes_is_left_alone_by_the_workers(shop, sandbox, sweep):
    sweep()
    assert apps_at_fly(sandbox) == {shop.fly_app_id}


def test_a_build_whose_worker_died_is_not_waited_for(alice, shop):
    build_of(shop, state=Build.State.BUILDING, attempt=1, heartbeat_at=timezone.now() - timedelta(minutes=5))

    assert destroy(alice) is True


def test_a_waiting_build_is_canceled_and_its_archive_removed(alice, shop):
    name = default_storage.save("archives/destroyed.tar.gz", ContentFile(b"archive"))
    build = build_of(shop, archive=name)

    assert destroy(alice) is True

    assert not default_storage.exists(name)
    assert AuditEvent.objects.get(action="build.canceled").target_id == str(build.pk)


def test_a_storage_that_is_away_keeps_the_row(alice, shop, monkeypatch):
    build_of(shop, state=Build.State.FAILED, finished_at=timezone.now(), archive="archives/kept.tar.gz")

    def fail(_name):
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "delete", fail)
        assert destroy(alice) is False
    assert Deployment.objects.get().state == Deployment.State.DESTROYING
    assert finish(shop) is True


def test_an_app_that_is_half_prepared_can_be_removed(alice, sandbox):
    sandbox.faults(target="fly", match="POST */ip_assignments", drop="before")
    with pytest.raises(Exception, match="can't be reached"):
        preparation.prepare(caller=caller(alice), app_name="shop", now=timezone.now())

    assert destroy(alice) is True
    assert apps_at_fly(sandbox) == set()


@pytest.mark.django_db(transaction=True)
def test_of_eight_at_once_all_agree(alice, shop, sandbox):
    outcomes = at_once(8, lambda _: destroy(alice))

    assert {outcome for outcome in outcomes if not isinstance(outcome, NoSuchApp)} <= {True, False}
    assert finish(shop) is True
    assert apps_at_fly(sandbox) == set()
    assert AuditEvent.objects.filter(action="deployment.destroyed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_preparing_and_destroying_at_once_leaves_no_app_that_nobody_knows(alice, sandbox):
    person = caller(alice)

    def act(number):
        if number % 2:
            return destroy(alice)
        return preparation.prepare(caller=person, app_name="shop", now=timezone.now())

    at_once(8, act)

    known = set(FlyApp.objects.exclude(state=FlyApp.State.GONE).values_list("pk", flat=True))
    assert apps_at_fly(sandbox) <= known
    for deployment in Deployment.objects.all():
        if deployment.state == Deployment.State.PREPARING:
            preparation.finish(deployment_id=deployment.pk, now=timezone.now())
        if deployment.state == Deployment.State.DESTROYING:
            assert finish(deployment) is True
    used = set(Deployment.objects.values_list("fly_app", flat=True))
    assert apps_at_fly(sandbox) == used
    assert len(changes_at_fly(sandbox)) > 0
