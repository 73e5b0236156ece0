"""POST /api/deploy/cancel: what waits is over at once, what runs is asked to stop."""

import threading
import time
import uuid

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from accounts.models import AuditEvent
from deployments.models import Build, Deployment
from deployments.services import cancellation
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of
from tests.deployments.builders import make_build, make_deployment

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/cancel"
State = Build.State
NAME_RULE = (
    "This can't be the name of an app: it needs 1 to 214 visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)
CANCELED = {"data": {"status": "canceled"}}
SENTENCE = "This version is released already, so it can't be canceled. Push again in a minute or two to replace it."
RELEASED = {"error": SENTENCE}
OVER = {"error": "This build is over already, so it can't be canceled."}
NOTHING = {"error": "There is nothing to cancel: no build of this app is waiting or running."}
ABSENT = {"error": "You have no app of this name. Prepare it first."}


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop")


@pytest.fixture
def storage(settings, tmp_path):
    """Archives in a folder of this test's own."""
    folder = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "default": folder}


def ask(api, name="shop"):
    answer = api.post(PATH, {"appName": name})
    return answer.status_code, answer.json()


def test_absent_and_another_persons_app_get_the_same_answer(charlie_api, shop):
    build = make_build(shop)
    assert ask(charlie_api) == ask(charlie_api, "nothing") == (404, ABSENT)
    assert Build.objects.get(pk=build.pk).state == State.QUEUED


def test_an_app_that_is_being_destroyed_is_absent(alice_api, shop):
    make_build(shop)
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    assert ask(alice_api) == (404, ABSENT)


def test_without_a_build_there_is_nothing_to_cancel(alice_api, shop):
    assert ask(alice_api) == (409, NOTHING)


@pytest.mark.parametrize("state", [State.LIVE, State.FAILED, State.INTERRUPTED])
def test_a_build_that_has_ended_stays_as_it_is(alice_api, shop, state):
    make_build(shop, state=state)
    assert ask(alice_api) == (409, NOTHING)
    assert Build.objects.get().state == state


def test_a_release_that_never_answered_has_ended(alice_api, shop):
    make_build(shop, state=State.RELEASED, finished_at=timezone.now())
    assert ask(alice_api) == (409, NOTHING)


def test_a_waiting_build_is_over_at_once(alice_api, alice, shop):
    make_build(shop, sealed_environment=b"sealed")
    assert ask(alice_api) == (200, CANCELED)
    build = Build.objects.get()
    assert (build.state, build.error, build.sealed_environment) == (State.CANCELED, "This build was canceled.", None)
    assert build.finished_at is not None
    event = AuditEvent.objects.get(action="build.canceled")
    assert (event.actor_id, event.target_id, event.details) == (alice.pk, str(build.pk), {"app": "shop"})
    assert event.organization_id == shop.organization_id


def test_the_archive_of_a_waiting_build_is_removed(alice_api, shop, django_capture_on_commit_callbacks, storage):
    name = default_storage.save("archives/one.tar.gz", ContentFile(b"archive"))
    make_build(shop, archive=name)
    with django_capture_on_commit_callbacks(execute=True):
        ask(alice_api)
    assert not default_storage.exists(name)


def test_an_archive_that_is_gone_already_is_no_trouble(alice_api, shop, django_capture_on_commit_callbacks, storage):
    make_build(shop, archive="archives/never.tar.gz")
    with django_capture_on_commit_callbacks(execute=True):
        assert ask(alice_api) == (200, CANCELED)


def test_a_running_build_is_asked_to_stop(alice_api, alice, shop):
    build = make_build(shop, state=State.BUILDING, archive="archives/one.tar.gz")
    assert ask(alice_api) == (200, CANCELED)
    asked = Build.objects.get(pk=build.pk)
    assert asked.cancel_requested_at is not None
    assert (asked.state, asked.finished_at, asked.archive) == (State.BUILDING, None, "archives/one.tar.gz")
    assert AuditEvent.objects.get(action="build.cancel_requested").actor_id == alice.pk


def test_a_version_that_fly_runs_is_not_canceled_any_more(alice_api, alice, shop):
    build = make_build(shop, state=State.RELEASED)
    assert ask(alice_api) == (409, RELEASED)
    with pytest.raises(cancellation.AlreadyReleased):
        cancellation.cancel_build(build.pk, alice)
    build.refresh_from_db()
    assert (build.state, build.cancel_requested_at, build.is_over) == (State.RELEASED, None, False)
    assert not AuditEvent.objects.filter(action__startswith="build.cancel").exists()


def test_a_build_that_waits_behind_a_released_one_is_canceled(alice_api, shop):
    make_build(shop, state=State.RELEASED)
    make_build(shop)
    assert ask(alice_api) == (200, CANCELED)
    assert set(Build.objects.values_list("state", flat=True)) == {State.RELEASED, State.CANCELED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"state": State.RELEASED, "released_at": timezone.now()}, RELEASED),
        ({"state": State.LIVE, "released_at": timezone.now(), "finished_at": timezone.now()}, OVER),
        ({"state": State.FAILED, "finished_at": timezone.now()}, OVER),
    ],
    ids=["released", "live", "failed"],
)
def test_a_build_that_gets_further_at_this_moment_is_not_said_to_be_canceled(alice, values, answer):
    """Its worker has written that, and has not committed yet."""
    build = make_build(make_deployment(alice), state=State.BUILDING)
    token, written = token_of(alice), threading.Event()

    def get_further():
        with transaction.atomic():
            Build.objects.filter(pk=build.pk).update(**values)
            written.set()
            time.sleep(0.7)

    def ask_meanwhile():
        assert written.wait(30)
        return ask(APIClient(token))

    assert at_once(get_further, ask_meanwhile)[1] == (409, answer)
    build.refresh_from_db()
    assert (build.state, build.cancel_requested_at) == (values["state"], None)


def test_canceling_twice_is_fine_and_recorded_once(alice_api, shop):
    for state in (State.QUEUED, State.BUILDING):
        Build.objects.all().delete()
        make_build(shop, state=state)
        before = AuditEvent.objects.count()
        first = Build.objects.get().cancel_requested_at
        assert [ask(alice_api), ask(alice_api)] == [(200, CANCELED)] * 2
        assert first is None
        assert AuditEvent.objects.count() == before + 1


def test_a_running_and_a_waiting_build_are_both_canceled(alice_api, shop):
    make_build(shop, state=State.BUILDING)
    make_build(shop)
    assert ask(alice_api) == (200, CANCELED)
    assert Build.objects.filter(cancel_requested_at=None, finished_at=None).count() == 0


def test_a_build_of_another_app_goes_on(alice_api, alice, shop):
    make_build(shop)
    other = make_build(make_deployment(alice, "blog"))
    ask(alice_api)
    assert Build.objects.get(pk=other.pk).state == State.QUEUED


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "appName: This field is required."),
        ({"appName": 7}, "appName: Not a valid string."),
        ({"appName": "x\u200b"}, NAME_RULE),
    ],
)  # fmt: skip
def test_a_malformed_question_is_refused(alice_api, body, sentence):
    answer = alice_api.post(PATH, body)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


def test_without_a_token_nothing_is_canceled(nobody_api, shop):
    make_build(shop)
    assert nobody_api.post(PATH, {"appName": "shop"}).status_code == 401
    assert Build.objects.get().state == State.QUEUED


def test_an_ended_build_cannot_be_canceled_by_its_id(alice, shop):
    build = make_build(shop, state=State.LIVE)
    with pytest.raises(cancellation.AlreadyOver):
        cancellation.cancel_build(build.pk, alice)
    # As after its app was destroyed.
    with pytest.raises(cancellation.AlreadyOver):
        cancellation.cancel_build(uuid.uuid4(), alice)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_cancel_at_once_one_changes_the_build(alice):
    shop = make_deployment(alice)
    make_build(shop)
    token = token_of(alice)
    answers = at_once(*[lambda: ask(APIClient(token))] * 6)
    assert answers == [(200, CANCELED)] * 6
    assert AuditEvent.objects.filter(action="build.canceled").count() == 1
