"""POST /api/deploy/push while something else happens to the same app: one build waits, or none of this push does."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from deployments.models import Build, Deployment
from deployments.services import builds, cancellation
from tests.accounts.threads import at_once
from tests.clouddev.worker_harness import is_somebody_blocked, wait_for
from tests.conftest import APIClient, token_of
from tests.deployments.archive_builder import entry, packed
from tests.deployments.builders import make_build
from tests.deployments.push_client import PATH, stored
from tests.fly.fly_assertions import caller

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("folder")]
State = Build.State


def body_of(number: int = 0) -> dict[str, object]:
    archive = packed(entry("number", b"%d" % number))
    return {"appName": "shop", "archive": base64.b64encode(archive).decode(), "envVars": {"NUMBER": str(number)}}


def while_fly_takes_the_secrets(sandbox: Any, shop: Any, alice_api: Any, act: Any) -> Any:
    """What a push answers when `act` is called while it waits for Fly."""
    path = f"/v1/apps/{shop.fly_app_id}/secrets"
    sandbox.faults(target="fly", match=f"POST {path}", delay=1)

    def acted() -> None:
        deadline = time.monotonic() + 20
        while not Build.objects.filter(accepted_at=None).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    answer, _ = at_once(lambda: alice_api.post(PATH, body_of()), acted)
    return answer


def shown(api: Any) -> tuple[str, str, str | None]:
    """What `status` says of the app, and whose log `logs` gives."""
    status = api.get("/api/deploy/status", appName="shop").json()["data"]
    logs = api.get("/api/deploy/logs", appName="shop").json()["data"]
    return status["status"], status.get("message") or status.get("error", ""), logs["buildId"]


def test_of_pushes_at_once_exactly_one_waits(alice, shop, folder):
    token = token_of(alice)
    answers = at_once(*[lambda n=n: APIClient(token).post(PATH, body_of(n)) for n in range(3)])
    assert [answer.status_code for answer in answers] == [200] * 3
    waiting = Build.objects.get(state=State.QUEUED)
    assert Build.objects.filter(state=State.CANCELED, error="A newer build took this one's place.").count() == 2
    assert shown(APIClient(token)) == ("queued", "Waiting for a worker…", str(waiting.pk))
    assert stored(folder) == [waiting.archive]
    assert ProcrastinateJob.objects.filter(args={"build_id": str(waiting.pk)}).count() == 1


def test_a_build_that_begins_meanwhile_goes_on_and_the_push_is_refused(alice_api, shop, sandbox, folder):
    older = make_build(shop, step="Installing…")

    def begin() -> None:
        Build.objects.filter(pk=older.pk).update(state=State.BUILDING, heartbeat_at=timezone.now())

    answer = while_fly_takes_the_secrets(sandbox, shop, alice_api, begin)

    assert answer.status_code == 409
    older.refresh_from_db()
    newer = Build.objects.exclude(pk=older.pk).get()
    assert (older.state, newer.state, newer.error) == (State.BUILDING, State.FAILED, answer.json()["error"])
    assert stored(folder) == []
    # Whoever pushed the one that runs waits for it, and must not hear of the other.
    assert shown(alice_api) == ("building", "Installing…", str(older.pk))


def test_secrets_that_a_refused_push_has_set_count_for_the_next_one(alice_api, shop, sandbox):
    older = make_build(shop)
    running = Build.objects.filter(pk=older.pk)
    answer = while_fly_takes_the_secrets(
        sandbox, shop, alice_api, lambda: running.update(state=State.BUILDING, heartbeat_at=timezone.now())
    )
    assert answer.status_code == 409
    refused = Build.objects.exclude(pk=older.pk).get()
    assert refused.secrets_version == sandbox.state()["fly"]["apps"][shop.fly_app_id]["secrets_version"]

    running.update(state=State.FAILED, finished_at=timezone.now())
    body = body_of()
    del body["envVars"]
    assert alice_api.post(PATH, body).status_code == 200

    assert Build.objects.get(state=State.QUEUED).secrets_version == refused.secrets_version


def test_a_push_that_still_arrives_when_another_is_accepted_takes_its_place_afterwards(
    alice, alice_api, shop, sandbox, folder
):
    def push_another() -> None:
        body = body_of(1)
        del body["envVars"]
        assert APIClient(token_of(alice)).post(PATH, body).status_code == 200

    answer = while_fly_takes_the_secrets(sandbox, shop, alice_api, push_another)

    assert answer.status_code == 200
    waiting = Build.objects.get(state=State.QUEUED)
    other = Build.objects.exclude(pk=waiting.pk).get()
    assert str(waiting.pk) == answer.json()["data"]["buildId"]
    assert waiting.created_at < other.created_at
    assert (other.state, other.error) == (State.CANCELED, "A newer build took this one's place.")
    assert stored(folder) == [waiting.archive]
    assert shown(alice_api) == ("queued", "Waiting for a worker…", str(waiting.pk))


def test_the_build_accepted_last_is_the_latest_though_clocks_differ(alice, alice_api, shop, sandbox, folder):
    fast = make_build(shop, accepted_at=timezone.now() + timedelta(minutes=2))
    answer = alice_api.post(PATH, body_of())

    assert answer.status_code == 200
    fast.refresh_from_db()
    assert fast.state == State.CANCELED
    assert shown(alice_api) == ("queued", "Waiting for a worker…", answer.json()["data"]["buildId"])


def test_a_push_that_could_not_be_stored_does_not_hide_what_runs(alice_api, shop, folder):
    live = make_build(shop, state=State.LIVE)
    folder.write_text("in the way")

    assert alice_api.post(PATH, body_of()).status_code == 503
    assert Build.objects.latest("created_at").state == State.FAILED
    assert shown(alice_api) == ("running", "", str(live.pk))


def test_a_push_that_could_not_be_stored_is_the_latest_where_nothing_else_is(alice_api, shop, folder):
    folder.write_text("in the way")

    answer = alice_api.post(PATH, body_of())

    assert answer.status_code == 503
    assert shown(alice_api) == ("build_error", answer.json()["error"], str(Build.objects.get().pk))


def test_a_push_that_still_arrives_when_an_image_is_deployed_again_takes_its_place_too(alice, alice_api, shop, sandbox):
    old = make_build(shop, state=State.LIVE)
    again = []
    answer = while_fly_takes_the_secrets(
        sandbox, shop, alice_api, lambda: again.append(builds.redeploy(build=old, actor=alice, now=timezone.now()))
    )

    assert answer.status_code == 200
    again[0].refresh_from_db()
    assert again[0].state == State.CANCELED
    assert shown(alice_api)[2] == answer.json()["data"]["buildId"]
    assert str(Build.objects.get(state=State.QUEUED).pk) == answer.json()["data"]["buildId"]


def test_a_push_that_is_canceled_meanwhile_is_not_built(alice, alice_api, shop, sandbox):
    def cancel() -> None:
        cancellation.cancel(caller=caller(alice), app_name="shop", now=timezone.now())

    answer = while_fly_takes_the_secrets(sandbox, shop, alice_api, cancel)

    assert (answer.status_code, answer.json()) == (409, {"error": "This push was canceled."})
    build = Build.objects.get()
    assert build.state == State.CANCELED
    assert not ProcrastinateJob.objects.filter(queueing_lock=f"build:{build.pk}").exists()


def test_an_app_that_is_gone_by_the_time_its_push_has_come_is_no_app(alice, shop):
    token = token_of(alice)

    def push() -> Any:
        try:
            return APIClient(token).post(PATH, body_of())
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            Deployment.objects.filter(pk=shop.pk).delete()
            answer = pool.submit(push)
            wait_for(is_somebody_blocked, "the push waits for the removal")
        said = answer.result(timeout=20)
    assert (said.status_code, said.json()) == (404, {"error": "You have no app of this name. Prepare it first."})
    assert not Build.objects.exists()
