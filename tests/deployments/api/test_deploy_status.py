"""GET /api/deploy/status: how an app is, in the words that the command-line tool knows."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from deployments.models import Build, Deployment
from deployments.services import machine_states, queue
from deployments.services.building import lease
from fly.clients.machines_api import Fly
from tests.deployments.builders import make_build, make_deployment, make_sign_of_life, make_worker
from tests.fly.fly_assertions import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_workers")]
PATH = "/api/deploy/status"
NOT_FOUND = {"data": {"status": "not_found", "url": None, "commit": None}}
State = Build.State
NAME_RULE = (
    "This can't be the name of an app: it needs 1 to 214 visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)
NOW = timezone.now()
ENDED = {"finished_at": NOW}


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop", fly_name="crayon-00000000000000aa")


def asked(api, name="shop"):
    answer = api.get(PATH, appName=name)
    assert answer.status_code == 200
    return answer.json()


def test_an_app_that_was_never_prepared_is_not_found(alice_api):
    assert asked(alice_api) == NOT_FOUND


def test_an_app_of_somebody_else_looks_as_one_that_is_not_there(charlie_api, shop):
    make_build(shop, state=State.LIVE, commit="abc")
    assert asked(charlie_api, "shop") == asked(charlie_api, "nothing") == NOT_FOUND


def test_two_people_have_apps_of_the_same_name_and_each_sees_their_own(alice_api, bob_api, bob, shop):
    make_build(shop, state=State.LIVE)
    make_deployment(bob, "shop")
    assert (asked(alice_api)["data"]["status"], asked(bob_api)["data"]["status"]) == ("running", "idle")


def test_an_app_that_is_being_destroyed_is_not_found(alice_api, shop):
    make_build(shop, state=State.LIVE)
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    assert asked(alice_api) == NOT_FOUND


def test_an_app_without_a_build_is_idle(alice_api, shop):
    assert asked(alice_api) == {"data": {"status": "idle", "url": shop.url, "commit": None}}


RECEIVING = ("queued", "Receiving the archive…")
WAITING = ("queued", "Waiting for a worker…")
STEP = "Installing dependencies…"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.QUEUED, "accepted_at": None}, RECEIVING),
        ({"state": State.QUEUED}, WAITING),
        ({"state": State.QUEUED, "step": "Waiting for another build to end…"},
         ("queued", "Waiting for another build to end…")),
        ({"state": State.BUILDING}, ("building", "Preparing the build…")),
        ({"state": State.BUILDING, "step": STEP}, ("building", STEP)),
        ({"state": State.BUILDING, "step": STEP, "cancel_requested_at": NOW}, ("building", "Canceling…")),
        ({"state": State.RELEASED}, ("starting", "Waiting for the app to answer…")),
        ({"state": State.RELEASED, "step": "Machines start…"}, ("starting", "Machines start…")),
        ({"state": State.RELEASED, "step": "x", **ENDED},
         ("starting", "The app is released, but it doesn't answer yet. Look at its logs.")),
    ],
)  # fmt: skip
def test_a_build_under_way_says_what_is_being_done(alice_api, shop, fields, expected):
    make_build(shop, commit="0123abc", **fields)
    word, message = expected
    assert asked(alice_api) == {"data": {"status": word, "url": shop.url, "commit": "0123abc", "message": message}}


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (State.FAILED, "Step 3 of 7 failed."),
        (State.INTERRUPTED, "The build was interrupted. Push again."),
        (State.CANCELED, "This build was canceled."),
    ],
)
def test_a_build_that_failed_or_was_ended_says_why_and_leaves_the_full_stop_to_the_tool(alice_api, shop, state, error):
    make_build(shop, state=state, commit="0123abc", error=error, step="Not shown any more")
    assert asked(alice_api) == {
        "data": {
            "status": "build_error",
            "url": shop.url,
            "commit": "0123abc",
            "error": error if ". " in error else error.removesuffix("."),
        }
    }


def test_a_build_that_failed_without_a_sentence_still_gives_one(alice_api, shop):
    make_build(shop, state=State.FAILED)
    assert asked(alice_api)["data"]["error"] == "The build failed. Look at its log."


def test_a_live_build_is_running(alice_api, shop):
    make_build(shop, state=State.LIVE, commit="0123abc", step="Not shown any more")
    assert asked(alice_api) == {"data": {"status": "running", "url": shop.url, "commit": "0123abc"}}


def test_the_newest_build_counts_whatever_the_older_ones_were(alice_api, shop):
    make_build(shop, state=State.LIVE, created_at=NOW - timedelta(hours=2), commit="old")
    make_build(shop, state=State.FAILED, created_at=NOW - timedelta(hours=1), error="No.", commit="new")
    assert asked(alice_api)["data"] | {"url": ""} == {
        "status": "build_error", "url": "", "commit": "new", "error": "No",
    }  # fmt: skip


def test_a_message_changes_with_the_step_since_tools_wait_for_as_long_as_it_does(alice_api, shop):
    build = make_build(shop, state=State.BUILDING, step="One…")
    first = asked(alice_api)["data"]["message"]
    Build.objects.filter(pk=build.pk).update(step="Two…")
    assert (first, asked(alice_api)["data"]["message"]) == ("One…", "Two…")


LONG = [
    ({"state": State.QUEUED}, "accepted_at", "Waiting for a worker…"),
    ({"state": State.QUEUED, "step": "Waiting for another build of yours or your organization to end…"}, "accepted_at",
     "Waiting for another build of yours or your organization to end…"),
    ({"state": State.BUILDING, "step": "Building step 2 of 7: npm ci…"}, "started_at", "Building step 2 of 7: npm ci…"),
    ({"state": State.BUILDING, "step": "x", "cancel_requested_at": NOW}, "started_at", "Canceling…"),
    ({"state": State.RELEASED}, "released_at", "Waiting for the app to answer…"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "since", "sentence"), LONG)
def test_a_message_says_how_long_it_takes_so_that_tools_go_on_waiting(alice_api, shop, fields, since, sentence):
    make_worker()
    build = make_build(shop, **fields)
    began = getattr(build, since)
    heard = []
    for seconds in (59, 60, 239, 240):
        Build.objects.exclude(heartbeat_at=None).update(heartbeat_at=began + timedelta(seconds=seconds))
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            heard.append(asked(alice_api)["data"]["message"])
    assert heard == [sentence, f"{sentence} (1 min)", f"{sentence} (3 min)", f"{sentence} (4 min)"]


@pytest.mark.parametrize("state", [State.BUILDING, State.RELEASED])
def test_where_the_worker_is_gone_the_minutes_stand_still(alice_api, shop, state):
    build = make_build(shop, state=state, step="One…")
    Build.objects.update(heartbeat_at=build.started_at + timedelta(minutes=2), released_at=build.started_at)
    heard = []
    for minutes in (3, 6, 60):
        with time_machine.travel(build.started_at + timedelta(minutes=minutes), tick=False):
            heard.append(asked(alice_api)["data"]["message"])
    assert heard == ["One… (3 min)"] * 3


NO_WORKER = "No build worker is running. Push again later, or tell an operator."


def wait(**times):
    """Let what waits have waited for so long."""
    Build.objects.update(accepted_at=timezone.now() - timedelta(**times))


@pytest.mark.parametrize("heard", ["never", "long ago", "as it ended well, long ago"])
def test_a_build_that_waits_where_no_worker_is_ends(alice_api, alice, shop, heard):
    build = make_build(shop, commit="0123abc", sealed_environment=b"sealed")
    beside = make_build(make_deployment(alice, "beside"), sealed_environment=b"sealed")
    if heard == "long ago":
        make_worker(ago=timedelta(seconds=121))
    elif heard != "never":
        make_sign_of_life(ago=timedelta(seconds=125))
    wait(seconds=110)
    assert asked(alice_api)["data"]["status"] == "queued"
    wait(seconds=121)
    ended = {"data": {"status": "build_error", "url": shop.url, "commit": "0123abc", "error": NO_WORKER}}
    assert asked(alice_api) == asked(alice_api) == ended
    build.refresh_from_db()
    assert (build.state, build.error, build.sealed_environment) == ("interrupted", NO_WORKER, None)
    # Whoever asks for that one ends it.
    assert Build.objects.get(pk=beside.pk, state=State.QUEUED).sealed_environment.open() == b"sealed"
    event = AuditEvent.objects.get(action="build.interrupted")
    assert (event.actor_id, event.details) == (alice.pk, {"app": "shop", "error": NO_WORKER})


@pytest.mark.parametrize("ago", [timedelta(seconds=1), timedelta(seconds=110)])
@pytest.mark.parametrize("is_sign", [False, True])
def test_while_a_worker_was_there_in_the_last_two_minutes_it_waits_on(alice_api, shop, ago, is_sign):
    make_build(shop)
    (make_sign_of_life if is_sign else make_worker)(ago=ago)
    wait(minutes=30)
    assert asked(alice_api)["data"]["message"] == "Waiting for a worker… (30 min)"


def test_a_push_that_still_arrives_waits_for_no_worker(alice_api, shop):
    make_build(shop, accepted_at=None, created_at=NOW - timedelta(hours=1))
    assert asked(alice_api)["data"]["status"] == "queued"


@pytest.mark.django_db(transaction=True)
def test_of_a_worker_that_comes_back_and_whoever_asks_one_has_the_build(alice_api, alice, shop):
    """Both at once, many times: it is either taken or ended, and the other one finds it so."""
    for _ in range(8):
        build = make_build(shop)
        wait(minutes=5)
        asking = {"build_id": build.pk, "state": State.QUEUED, "accepted_at": NOW - timedelta(hours=1)}

        def go(number, build=build, asking=asking):
            return lease.take(build.pk) if number else queue.end_if_stalled(**asking, now=timezone.now())

        ended, taken = at_once(2, go)
        build.refresh_from_db()
        assert (ended, taken is None, build.state) in {
            (True, True, "interrupted"), (False, False, "building"),
        }  # fmt: skip
        Build.objects.all().delete()


def test_its_page_ends_it_too(alice, shop):
    build = make_build(shop)
    wait(minutes=3)
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/deployments/{shop.pk}/builds/{build.pk}"
    assert (browser.get(f"{path}/news").json()["word"], NO_WORKER in browser.get(path).content.decode()) == (
        "Interrupted", True,
    )  # fmt: skip


def test_what_is_over_takes_no_longer(alice_api, shop):
    make_build(shop, state=State.RELEASED, finished_at=NOW)
    first = asked(alice_api)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        assert asked(alice_api) == first


def test_a_poll_costs_two_queries_however_many_builds_there_are(alice_api, shop, django_assert_num_queries):
    for _ in range(30):
        make_build(shop, state=State.FAILED)
    asked(alice_api)  # the first use of a token in a minute is noted
    with django_assert_num_queries(2):
        asked(alice_api)


def test_fly_is_never_asked(alice_api, shop, settings):
    settings.FLY_API_URL = settings.FLY_PLATFORM_URL = "http://127.0.0.1:9"
    settings.FLY_APP_URL = "http://127.0.0.1:9/{app}"
    make_build(shop, state=State.RELEASED)
    assert asked(alice_api)["data"]["status"] == "starting"


def test_without_a_token_it_answers_nothing(nobody_api, shop):
    assert nobody_api.get(PATH, appName="shop").status_code == 401


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "appName: This field is required."),
        ({"appName": ""}, "appName: This field may not be blank."),
        ({"appName": "a" * 215}, NAME_RULE),
        ({"appName": "sh\nop"}, NAME_RULE),
    ],
)  # fmt: skip
def test_what_cannot_be_an_app_is_refused(alice_api, parameters, sentence):
    answer = alice_api.get(PATH, **parameters)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


def noted(sandbox, state):
    """The sentence about a live app whose machine is so at Fly, as a worker has noted it."""
    (machine,) = Fly.from_settings().list_machines(Deployment.objects.get().fly_app_id)
    sandbox.fly_machine(machine.id, state=state)
    machine_states.note_states(now=timezone.now())


@pytest.fixture
def live(alice, sandbox):
    """alice's live app, with its machine."""
    app = make_deployment(alice)
    sandbox.add_fly_app(app.fly_app_id, network=app.fly_app.network)
    make_build(app, state=State.LIVE, created_at=timezone.now() - timedelta(hours=1))
    config = {"image": "registry.fly.io/a:t", "metadata": {"fly_process_group": "app"}}
    Fly.from_settings().create_machine(app.fly_app_id, name="app-1", region="iad", config=config)
    return app


@pytest.mark.parametrize(
    ("state", "status", "message"),
    [
        ("started", "running", None),
        ("stopped", "starting", "The app is stopped. It starts as soon as somebody opens its address."),
        ("failed", "starting", "The app has stopped by itself. Look at its logs, and push again."),
        ("destroyed", "starting", "Fly has no machine of this app any more. Push again."),
    ],
)
def test_a_live_app_whose_machine_does_not_run_is_starting(alice_api, live, sandbox, state, status, message):
    noted(sandbox, state)
    sandbox.clear_requests()
    told = asked(alice_api)["data"]
    assert (told["status"], told.get("message")) == (status, message)
    assert sandbox.requests("fly") == []


@pytest.mark.parametrize("states", [("started", "stopped"), ("stopped", "started")])
def test_of_several_machines_the_one_that_does_best_counts(alice_api, live, sandbox, states):
    fly = Fly.from_settings()
    config = {"image": "registry.fly.io/a:t", "metadata": {"fly_process_group": "app"}}
    fly.create_machine(live.fly_app_id, name="app-2", region="iad", config=config)
    for machine, state in zip(fly.list_machines(live.fly_app_id), states, strict=True):
        sandbox.fly_machine(machine.id, state=state)
    machine_states.note_states(now=timezone.now())
    assert asked(alice_api)["data"]["status"] == "running"


def test_what_was_noted_long_ago_or_before_the_release_says_nothing(alice_api, live, sandbox):
    noted(sandbox, "stopped")
    Deployment.objects.update(machine_state_at=timezone.now() - timedelta(minutes=11))
    assert asked(alice_api)["data"]["status"] == "running"
    Deployment.objects.update(machine_state_at=timezone.now() - timedelta(seconds=5))
    Build.objects.update(finished_at=timezone.now())
    assert asked(alice_api)["data"]["status"] == "running"


def test_states_that_fly_does_not_tell_stay_as_they_were(alice_api, live, sandbox):
    noted(sandbox, "stopped")
    sandbox.faults(target="fly", match="GET /v1/orgs", status=500, times=0)
    machine_states.note_states(now=timezone.now())
    assert asked(alice_api)["data"]["status"] == "starting"
