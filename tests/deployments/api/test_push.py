"""POST /api/deploy/push: what is taken in, what is refused, and that a build waits afterwards or nothing is left."""

import logging
from datetime import timedelta

import orjson
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from accounts.models import AuditEvent
from deployments.models import Build, Deployment
from deployments.services import archive_check, pushes
from fly.models import FlyApp
from tests.deployments.builders import make_build, make_deployment
from tests.deployments.push_client import (
    ARCHIVE,
    NO_APP,
    PATH,
    body_of,
    jobs,
    nothing_is_left,
    push_raw,
    refusal,
    secrets_at_fly,
    stored,
)
from tests.fly.fly_assertions import changes_at_fly

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]
RELEASED = "This app was released a moment ago, and is still being checked. Try again in a minute."
RUNNING = "A build of this app is running already. Wait until it is over, or cancel it, and try again."
State = Build.State


# --- taken in -----------------------------------------------------------------------------------


def test_a_push_waits_to_be_built(alice_api, alice, shop, folder, sandbox):
    variables = {"DATABASE_URL": "postgres://not-a-secret", "VITE_COLOR": "red\nand 'blue'", "PORT": "1"}
    answer = alice_api.post(PATH, body_of(envVars=variables, commitHash="abc123"))

    build = Build.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"data": {"status": "deploying", "buildId": str(build.pk)}})
    assert (build.state, build.commit, build.deployment, build.pushed_by) == (State.QUEUED, "abc123", shop, alice)
    assert build.archive_bytes == len(ARCHIVE)
    assert build.accepted_at is not None
    assert build.archive == f"builds/{build.pk}.tar.gz"
    assert stored(folder) == [build.archive]
    assert (folder / build.archive).read_bytes() == ARCHIVE
    assert jobs() == [{"build_id": str(build.pk)}]
    event = AuditEvent.objects.get(action="build.pushed")
    assert (event.actor_id, event.details["app"], event.details["commit"]) == (alice.pk, "shop", "abc123")


def test_variables_become_secrets_and_only_the_browsers_are_kept_sealed_until_the_build(alice_api, shop, sandbox):
    variables = {"DATABASE_URL": "postgres://not-a-secret", "VITE_COLOR": "red", "JSON": '{\n "a": "b"\n}'}
    alice_api.post(PATH, body_of(envVars=variables))
    build = Build.objects.get()
    assert changes_at_fly(sandbox) == [f"POST /v1/apps/{shop.fly_app_id}/secrets"]
    assert secrets_at_fly(sandbox, shop) == variables
    assert build.secrets_version is not None
    sealed = bytes(build.sealed_environment)
    assert b"red" not in sealed
    assert orjson.loads(build.sealed_environment.open()) == {"VITE_COLOR": "red"}


def test_port_is_no_secret_but_kept_for_the_build(alice_api, shop, sandbox):
    alice_api.post(PATH, body_of(envVars={"PORT": "4000"}))
    build = Build.objects.get()
    assert changes_at_fly(sandbox) == []
    assert orjson.loads(build.sealed_environment.open()) == {"PORT": "4000"}


def test_without_variables_fly_is_not_asked_and_what_was_known_still_counts(alice_api, shop, sandbox):
    make_build(shop, state=State.LIVE, secrets_version=7)
    assert alice_api.post(PATH, body_of()).status_code == 200
    build = Build.objects.latest("created_at")
    assert (build.secrets_version, build.sealed_environment) == (7, None)
    assert changes_at_fly(sandbox) == []


@pytest.mark.parametrize("form", ["JSON", "raw"])
def test_on_fly_a_push_is_refused_at_once_where_no_worker_could_see_its_archive(
    alice_api, shop, sandbox, folder, settings, form
):
    settings.IS_ON_FLY = True
    answer = alice_api.post(PATH, body_of(envVars={"A": "1"})) if form == "JSON" else push_raw(alice_api)
    sentence = (
        "This server keeps archives in a folder, which its workers on Fly can't see, so nothing can be built. "
        "Its operator has to set S3_BUCKET."
    )
    assert refusal(answer) == (503, sentence)
    assert nothing_is_left(folder)
    assert not Build.objects.exists()
    assert changes_at_fly(sandbox) == []


def test_the_bare_archive_is_taken_too(alice_api, shop, folder):
    for kind in ("application/gzip", "application/x-gzip", "APPLICATION/GZIP; x=y"):
        answer = push_raw(alice_api, query="appName=shop&commitHash=abc", kind=kind)
        assert answer.status_code == 200, answer.content
        build = Build.objects.latest("accepted_at")
        assert (build.commit, (folder / build.archive).read_bytes()) == ("abc", ARCHIVE)


def test_a_commit_is_optional(alice_api, shop):
    for commit in ({}, {"commitHash": None}, {"commitHash": ""}):
        assert alice_api.post(PATH, body_of(**commit)).status_code == 200
    assert set(Build.objects.values_list("commit", flat=True)) == {""}


def test_an_app_that_is_only_half_prepared_is_finished_first(alice_api, alice, sandbox):
    app = make_deployment(alice, state=Deployment.State.PREPARING)
    FlyApp.objects.update(state=FlyApp.State.INTENDED, ready_at=None)
    assert alice_api.post(PATH, body_of(envVars={"A": "1"})).status_code == 200
    app.refresh_from_db()
    assert app.state == Deployment.State.READY
    assert set(sandbox.state()["fly"]["apps"]) == {app.fly_app_id}


def test_a_newer_push_takes_the_place_of_one_that_waits(alice_api, shop, folder, django_capture_on_commit_callbacks):
    alice_api.post(PATH, body_of())
    first = Build.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        answer = alice_api.post(PATH, body_of())
    first.refresh_from_db()
    assert (first.state, first.error) == (State.CANCELED, "A newer build took this one's place.")
    assert first.finished_at is not None
    second = Build.objects.get(pk=answer.json()["data"]["buildId"])
    assert (second.state, stored(folder)) == (State.QUEUED, [second.archive])
    assert AuditEvent.objects.filter(action="build.superseded", target_id=str(first.pk)).exists()


def test_pushes_to_other_apps_are_left_alone(alice_api, bob, shop, folder):
    others = [make_build(make_deployment(bob)), make_build(make_deployment(shop.owner, "blog"))]
    alice_api.post(PATH, body_of())
    assert {Build.objects.get(pk=other.pk).state for other in others} == {State.QUEUED}


# --- refused ------------------------------------------------------------------------------------


def test_before_prepare_it_says_what_to_do(alice_api, sandbox, folder):
    assert refusal(alice_api.post(PATH, body_of())) == (404, NO_APP)
    assert refusal(push_raw(alice_api)) == (404, NO_APP)
    assert nothing_is_left(folder)


def test_another_persons_app_is_as_absent_as_none(bob_api, shop, folder):
    assert refusal(bob_api.post(PATH, body_of())) == (404, NO_APP)
    assert refusal(push_raw(bob_api)) == (404, NO_APP)
    assert nothing_is_left(folder)


def test_an_app_that_is_being_destroyed_is_absent(alice_api, shop, folder):
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    assert refusal(alice_api.post(PATH, body_of())) == (404, NO_APP)


@pytest.mark.parametrize(("state", "sentence"), [(State.BUILDING, RUNNING), (State.RELEASED, RELEASED)])
def test_while_a_build_runs_another_is_refused(alice_api, shop, folder, state, sentence):
    make_build(shop, state=state)
    assert refusal(alice_api.post(PATH, body_of())) == (409, sentence)
    assert refusal(push_raw(alice_api)) == (409, sentence)
    assert Build.objects.count() == 1
    assert stored(folder) == []


def test_while_a_build_is_being_canceled_it_says_so(alice_api, shop):
    make_build(shop, state=State.BUILDING, cancel_requested_at=timezone.now())
    sentence = "The last build of this app is still being canceled. Try again in a few seconds."
    assert refusal(alice_api.post(PATH, body_of())) == (409, sentence)


@pytest.mark.parametrize("state", [State.LIVE, State.FAILED, State.CANCELED, State.INTERRUPTED])
def test_builds_that_are_over_hinder_nobody(alice_api, shop, state):
    make_build(shop, state=state)
    assert alice_api.post(PATH, body_of()).status_code == 200


def test_without_a_token_the_body_is_not_read(nobody_api, shop):
    answer = nobody_api.request("POST", PATH, data=b"", content_type="application/json", CONTENT_LENGTH=str(1 << 40))
    assert answer.status_code == 401


def test_on_a_server_without_fly_the_missing_setting_is_named(alice_api, shop, settings):
    settings.FLY_API_TOKEN = ""
    for answer in (alice_api.post(PATH, body_of()), push_raw(alice_api)):
        status, sentence = refusal(answer)
        assert (status, "FLY_API_TOKEN" in sentence) == (503, True)


def test_while_another_archive_is_checked_a_push_waits_a_little_and_is_asked_to_come_again(
    alice_api, shop, folder, monkeypatch
):
    monkeypatch.setattr(archive_check, "_PATIENCE_SECONDS", 0.1)
    with archive_check._turn:
        answer = alice_api.post(PATH, body_of())
    assert refusal(answer) == (503, "Other archives are being checked right now. Push again in a few seconds.")
    assert answer["Retry-After"] == "10"
    assert nothing_is_left(folder)
    assert alice_api.post(PATH, body_of()).status_code == 200


def test_pushing_without_end_is_limited(alice_api, alice, shop):
    for _ in range(10):
        pushes.PUSHES.spend(str(alice.pk))
    answer = alice_api.post(PATH, body_of())
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize("form", ["JSON", "its archive first", "raw"])
def test_a_push_is_counted_once_and_before_its_archive_is_looked_at(alice_api, alice, shop, form):
    body = dict(reversed(body_of(b"no archive").items())) if form == "its archive first" else body_of(b"no archive")
    answer = push_raw(alice_api, b"no archive") if form == "raw" else alice_api.post(PATH, body)
    assert answer.status_code == 400
    assert pushes.PUSHES.used(str(alice.pk)) == 1
    answer = push_raw(alice_api) if form == "raw" else alice_api.post(PATH, body_of())
    assert answer.status_code == 200
    assert pushes.PUSHES.used(str(alice.pk)) == 2


def test_a_push_that_is_refused_before_its_archive_counts_nothing(alice_api, alice, shop):
    make_build(shop, state=State.BUILDING)
    for body in (body_of(), body_of() | {"appName": "blog"}, body_of() | {"appName": 7}, {"appName": "shop"}):
        assert alice_api.post(PATH, body).status_code in {400, 404, 409}
    assert push_raw(alice_api).status_code == 409
    assert pushes.PUSHES.used(str(alice.pk)) == 0


# --- when something fails on the way ------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"status": 422}, {"status": 404}])
def test_when_fly_does_not_take_the_secrets_the_push_fails_as_a_whole(
    alice_api, shop, sandbox, folder, caplog, when, fault
):
    caplog.set_level(logging.DEBUG)
    how = {"drop": when} if "drop" in fault else fault
    sandbox.faults(target="fly", match=f"POST /v1/apps/{shop.fly_app_id}/secrets", times=5, **how)

    answer = alice_api.post(PATH, body_of(envVars={"TOKEN": "not-a-secret"}))

    assert answer.status_code in {502, 503, 504}
    build = Build.objects.get()
    assert (build.state, build.error, build.archive) == (State.FAILED, answer.json()["error"], "")
    assert build.finished_at is not None
    assert nothing_is_left(folder)
    assert "not-a-secret" not in caplog.text + answer.content.decode()

    sandbox.clear_faults()
    assert alice_api.post(PATH, body_of(envVars={"TOKEN": "not-a-secret"})).status_code == 200
    assert secrets_at_fly(sandbox, shop) == {"TOKEN": "not-a-secret"}


def test_when_the_storage_fails_nothing_is_left(alice_api, shop, folder, sandbox):
    folder.write_bytes(b"a file where the folder should be")
    answer = alice_api.post(PATH, body_of(envVars={"A": "1"}))
    assert refusal(answer) == (503, "The archive can't be stored right now. Push again in a moment.")
    assert Build.objects.get().state == State.FAILED
    assert secrets_at_fly(sandbox, shop) == {}
    folder.unlink()
    assert alice_api.post(PATH, body_of()).status_code == 200


def test_a_push_that_a_crash_left_behind_is_ended_and_its_archive_removed(alice, shop, folder):
    now = timezone.now()
    left, young = (
        make_build(shop, accepted_at=None, created_at=now - ago, archive=f"builds/{name}.tar.gz")
        for name, ago in (("left", timedelta(minutes=11)), ("young", timedelta(minutes=9)))
    )
    for build in (left, young):
        storages["default"].save(build.archive, ContentFile(ARCHIVE))
    pushes.sweep_unaccepted(now=now)
    pushes.sweep_unaccepted(now=now)
    left.refresh_from_db()
    young.refresh_from_db()
    assert (left.state, left.archive) == (State.INTERRUPTED, "")
    assert left.error == "The push was interrupted on our side before the build could begin. Push again."
    assert left.finished_at is not None
    assert (young.state, young.finished_at, stored(folder)) == (State.QUEUED, None, [young.archive])
    assert AuditEvent.objects.filter(action="build.interrupted").count() == 1


def test_an_odd_name_in_the_environment_is_left_out_and_told(alice_api, shop, sandbox):
    answer = alice_api.post(PATH, body_of(envVars={"A-B": "not-a-secret", "GOOD": "1"}))
    build = Build.objects.get()
    told = (
        "Left out of the environment: A-B. A variable's name has letters, digits and underscores, "
        "no digit first, 200 at most."
    )
    assert answer.json() == {"data": {"status": "deploying", "buildId": str(build.pk), "message": told}}
    assert sandbox.state()["fly"]["secrets"][shop.fly_app_id] == {"GOOD": "1"}
    log = alice_api.get("/api/deploy/logs", appName="shop").json()["data"]
    assert (log["buildLog"], log["logLength"]) == (f"{told}\n", len(told) + 1)
