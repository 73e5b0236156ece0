"""GET /api/deploy/status: how an app is, in the words that the command-line tool knows."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from deployments.models import Build, Deployment
from tests.deployments.builders import make_build, make_deployment

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/status"
NOT_FOUND = {"data": {"status": "not_found", "url": None, "commit": None}}
State = Build.State
NAME_RULE = "appName: Use lower-case letters, digits and hyphens, a letter first, 63 characters at most."
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
def test_a_build_that_failed_or_was_ended_says_why(alice_api, shop, state, error):
    make_build(shop, state=state, commit="0123abc", error=error, step="Not shown any more")
    assert asked(alice_api) == {"data": {"status": "build_error", "url": shop.url, "commit": "0123abc", "error": error}}


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
        "status": "build_error", "url": "", "commit": "new", "error": "No.",
    }  # fmt: skip


def test_a_message_changes_with_the_step_since_tools_wait_for_as_long_as_it_does(alice_api, shop):
    build = make_build(shop, state=State.BUILDING, step="One…")
    first = asked(alice_api)["data"]["message"]
    Build.objects.filter(pk=build.pk).update(step="Two…")
    assert (first, asked(alice_api)["data"]["message"]) == ("One…", "Two…")


LONG = [
    ({"state": State.QUEUED}, "accepted_at", "Waiting for a worker…"),
    ({"state": State.QUEUED, "step": "Waiting for another build of your organization to end…"}, "accepted_at",
     "Waiting for another build of your organization to end…"),
    ({"state": State.BUILDING, "step": "Building step 2 of 7: npm ci…"}, "started_at", "Building step 2 of 7: npm ci…"),
    ({"state": State.BUILDING, "step": "x", "cancel_requested_at": NOW}, "started_at", "Canceling…"),
    ({"state": State.RELEASED}, "released_at", "Waiting for the app to answer…"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "since", "sentence"), LONG)
def test_a_message_says_how_long_it_takes_so_that_tools_go_on_waiting(alice_api, shop, fields, since, sentence):
    build = make_build(shop, **fields)
    began = getattr(build, since)
    heard = []
    for seconds in (59, 60, 239, 240):
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            heard.append(asked(alice_api)["data"]["message"])
    assert heard == [sentence, f"{sentence} (1 min)", f"{sentence} (3 min)", f"{sentence} (4 min)"]


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
        ({"appName": "a" * 64}, "appName: Ensure this field has no more than 63 characters."),
        ({"appName": "Shop"}, NAME_RULE),
        ({"appName": "shop\n"}, NAME_RULE),
        ({"appName": str(uuid.UUID(int=0))}, NAME_RULE),
    ],
)  # fmt: skip
def test_what_cannot_be_an_app_is_refused(alice_api, parameters, sentence):
    answer = alice_api.get(PATH, **parameters)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
