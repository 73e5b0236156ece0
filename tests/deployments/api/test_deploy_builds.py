"""GET /api/deploy/builds, and deploying again what was built before."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import AuditEvent
from deployments.models import Build, Deployment
from deployments.services import builds
from deployments.services.access import NoSuchApp
from tests.accounts.threads import at_once
from tests.deployments.builders import IMAGE, make_build, make_deployment

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/builds"
ABSENT = {"error": "You have no app of this name. Prepare it first."}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
State = Build.State


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop")


def asked(api, **parameters):
    answer = api.get(PATH, **{"appName": "shop", **parameters})
    assert answer.status_code == 200
    return answer.json()["data"]


def test_absent_and_another_persons_app_get_the_same_answer(charlie_api, shop):
    make_build(shop)
    answers = [charlie_api.get(PATH, appName=name) for name in ("shop", "nothing")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, ABSENT)] * 2


def test_without_a_token_it_answers_nothing(nobody_api, shop):
    assert nobody_api.get(PATH, appName="shop").status_code == 401


def test_an_app_without_a_build_has_none(alice_api, shop):
    assert asked(alice_api) == []


def test_builds_are_listed_newest_first_with_what_became_of_them(alice_api, shop):
    live = make_build(shop, state=State.LIVE, created_at=NOON, commit="0123abc")
    failed = make_build(shop, state=State.FAILED, created_at=NOON + timedelta(hours=1), error="Step 3 failed.")
    queued = make_build(shop, created_at=NOON + timedelta(hours=2))
    assert asked(alice_api) == [
        {
            "id": str(queued.pk),
            "status": "queued",
            "commit": None,
            "startedAt": None,
            "finishedAt": None,
            "error": None,
        },
        {
            "id": str(failed.pk),
            "status": "failed",
            "commit": None,
            "startedAt": "2026-03-01T13:00:01+00:00",
            "finishedAt": "2026-03-01T13:01:13+00:00",
            "error": "Step 3 failed.",
        },
        {
            "id": str(live.pk),
            "status": "live",
            "commit": "0123abc",
            "startedAt": "2026-03-01T12:00:01+00:00",
            "finishedAt": "2026-03-01T12:01:13+00:00",
            "error": None,
        },
    ]


def test_fifty_are_listed_at_once_and_older_ones_on_request(alice_api, shop):
    made = [make_build(shop, state=State.FAILED, created_at=NOON + timedelta(minutes=n)) for n in range(60)]
    newest = [str(build.pk) for build in reversed(made)]
    first = [build["id"] for build in asked(alice_api)]
    assert first == newest[:50]
    assert [build["id"] for build in asked(alice_api, before=first[-1])] == newest[50:]


def test_builds_of_one_moment_are_each_on_one_page(alice_api, shop):
    made = {str(make_build(shop, state=State.FAILED, created_at=NOON).pk) for _ in range(60)}
    first = [build["id"] for build in asked(alice_api)]
    rest = [build["id"] for build in asked(alice_api, before=first[-1])]
    assert (len(first), len(rest), {*first, *rest}) == (50, 10, made)


def test_before_names_a_build_of_this_app(alice_api, bob, shop):
    anothers = make_build(make_deployment(bob, "shop"))
    answers = [alice_api.get(PATH, appName="shop", before=str(pk)) for pk in (anothers.pk, uuid.uuid4())]
    refusal = {"error": "before: This app has no such build."}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(400, refusal)] * 2


def test_before_is_an_id(alice_api, shop):
    answer = alice_api.get(PATH, appName="shop", before="x")
    assert (answer.status_code, answer.json()) == (400, {"error": "before: This is not a build's id."})


def test_many_builds_cost_no_more_queries_than_one(alice_api, shop, django_assert_num_queries):
    for number in range(20):
        make_build(shop, state=State.FAILED, created_at=NOON + timedelta(minutes=number))
    asked(alice_api)
    with django_assert_num_queries(3):
        assert len(asked(alice_api)) == 20


# --- deploying an image again --------------------------------------------------------------------


def test_an_image_that_is_deployed_again_waits_for_the_secrets_that_were_set_since(alice, shop):
    old = make_build(shop, state=State.LIVE, secrets_version=3)
    make_build(shop, state=State.FAILED, secrets_version=7, accepted_at=None)
    again = builds.redeploy(build=old, actor=alice, now=NOON)
    assert Build.objects.get(pk=again.pk).secrets_version == 7


def test_an_image_is_deployed_again_by_a_new_build(alice, bob, shop):
    old = make_build(shop, state=State.LIVE, commit="0123abc", internal_port=3000, created_at=NOON - timedelta(hours=1))
    again = builds.redeploy(build=old, actor=bob, now=NOON)
    made = Build.objects.get(pk=again.pk)
    assert (made.state, made.from_image, made.commit, made.internal_port) == (State.QUEUED, IMAGE, "0123abc", 3000)
    assert (made.pushed_by_id, made.organization_id, made.accepted_at) == (bob.pk, old.organization_id, NOON)
    event = AuditEvent.objects.get(action="build.redeployed")
    assert (event.actor_id, event.target_id) == (bob.pk, str(again.pk))
    assert event.details == {"app": "shop", "image_of": str(old.pk)}
    assert _jobs_for(again) == 1


def test_a_build_that_made_no_image_has_nothing_to_deploy(alice, shop):
    with pytest.raises(builds.NoImage, match="Push again"):
        builds.redeploy(build=make_build(shop, state=State.FAILED), actor=alice, now=NOON)
    assert Build.objects.count() == 1


@pytest.mark.parametrize("state", [State.BUILDING, State.RELEASED])
def test_nothing_is_deployed_again_while_a_build_runs(alice, shop, state):
    old = make_build(shop, state=State.LIVE)
    make_build(shop, state=state)
    with pytest.raises(builds.BuildRunning):
        builds.redeploy(build=old, actor=alice, now=NOON)
    assert Build.objects.count() == 2


def test_nothing_is_deployed_again_while_a_build_is_being_canceled(alice, shop):
    old = make_build(shop, state=State.LIVE)
    make_build(shop, state=State.BUILDING, cancel_requested_at=NOON)
    with pytest.raises(builds.BuildStopping):
        builds.redeploy(build=old, actor=alice, now=NOON)


def test_nothing_of_an_app_on_its_way_out_is_deployed_again(alice, shop):
    old = make_build(shop, state=State.LIVE)
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    with pytest.raises(NoSuchApp):
        builds.redeploy(build=old, actor=alice, now=NOON)


def test_builds_that_wait_make_room(alice, shop):
    old = make_build(shop, state=State.LIVE)
    waiting = make_build(shop, sealed_environment=b"sealed")
    builds.redeploy(build=old, actor=alice, now=NOON)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error) == (State.CANCELED, "A newer build took this one's place.")
    assert (waiting.finished_at, waiting.sealed_environment) == (NOON, None)
    assert AuditEvent.objects.get(action="build.superseded").target_id == str(waiting.pk)


@pytest.mark.django_db(transaction=True)
def test_of_several_at_once_one_is_left_waiting(alice):
    old = make_build(make_deployment(alice), state=State.LIVE)
    at_once(*[lambda: builds.redeploy(build=old, actor=alice, now=NOON)] * 4)
    assert Build.objects.filter(from_image=IMAGE).count() == 4
    assert Build.objects.filter(from_image=IMAGE, state=State.QUEUED).count() == 1


def _jobs_for(build):
    from procrastinate.contrib.django.models import ProcrastinateJob  # noqa: PLC0415 - needs the app registry

    return ProcrastinateJob.objects.filter(args__build_id=str(build.pk)).count()
