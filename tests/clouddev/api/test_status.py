"""GET /api/cloud-dev/status: how a machine is, in the words that the command-line tool waits for."""

import threading
import time
import tracemalloc
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import IdlePolicy, Machine
from clouddev.services import fly_states, queue, status
from core import cache
from tests.clouddev.api.expectations import BAD_QUERIES, SUSPENDED, asked_at_fly, jobs_of, said
from tests.clouddev.builders import add_member, make_machine
from tests.deployments.builders import make_worker
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/status"
ASKS_ALL = "GET /v1/orgs/sandbox/machines"
NOT_FOUND = (200, {"data": {"status": "not_found", "url": None}})
BOOTING = "The workspace runs; its dev server is starting…"
State = Machine.State


def asked(api, name="studio"):
    return said(api.get(PATH, appName=name))


def pings(machine):
    return f"GET /apps/{machine.fly_app_id}/dev/__health"


@pytest.mark.parametrize(("parameters", "sentence"), BAD_QUERIES)
def test_what_cannot_be_a_name_is_refused(alice_api, parameters, sentence):
    assert said(alice_api.get(PATH, **parameters)) == (400, {"error": sentence})


def test_without_a_token_nothing_is_told(nobody_api, studio):
    assert nobody_api.get(PATH, appName="studio").status_code == 401


def test_a_suspended_person_is_told_nothing(bob_api, bob, studio):
    bob.is_active = False
    bob.save()
    assert asked(bob_api) == (403, SUSPENDED)


def test_a_machine_of_others_looks_as_one_that_is_not_there(charlie_api, studio, sandbox):
    assert asked(charlie_api) == asked(charlie_api, "nothing") == NOT_FOUND
    assert asked_at_fly(sandbox) == []


def test_ones_own_machine_counts_before_one_of_others_with_the_same_name(alice_api, alice, bob, sandbox):
    others = make_machine(bob, "studio", state=State.CREATING)
    add_member(others, alice)
    own = make_machine(alice, "studio", state=State.FAILED, error="No room.")
    assert asked(alice_api) == (200, {"data": {"status": "error", "url": own.url, "error": "No room."}})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.CREATING, "step": "Setting up…"}, {"status": "creating", "message": "Setting up…"}),
        ({"state": State.FAILED, "error": "No room."}, {"status": "error", "error": "No room."}),
        (
            {"state": State.UNDOING, "step": "Removing what was made…", "error": "No room."},
            {"status": "error", "message": "Removing what was made…", "error": "No room."},
        ),
        ({"state": State.DESTROYING, "step": "Removing…"}, {"status": "destroying", "message": "Removing…"}),
    ],
)
def test_while_it_is_made_or_removed_the_row_says_it_all(alice_api, alice, sandbox, fields, expected):
    machine = make_machine(alice, "studio", **fields)
    assert asked(alice_api) == (200, {"data": {"url": machine.url, **expected}})
    assert asked_at_fly(sandbox) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("stopped", {"status": "stopped"}),
        ("suspended", {"status": "stopped"}),
        ("starting", {"status": "starting", "message": "The workspace is starting…"}),
        ("created", {"status": "starting", "message": "The workspace is starting…"}),
        ("replacing", {"status": "starting", "message": "The workspace is starting…"}),
        ("stopping", {"status": "stopping"}),
        ("failed", {"status": "failed"}),
    ],
)
def test_a_machine_that_does_not_run_has_flys_word_and_is_not_woken(alice_api, alice, sandbox, word, expected):
    machine = make_machine(alice, "studio", sandbox=sandbox, fly_state=word)
    sandbox.clear_requests()
    assert asked(alice_api) == (200, {"data": {"url": machine.url, **expected}})
    assert asked_at_fly(sandbox) == [ASKS_ALL]


def test_owner_and_member_see_it_running_when_its_dev_server_answers(alice_api, bob_api, studio_at_fly):
    running = (200, {"data": {"status": "running", "url": studio_at_fly.url}})
    assert asked(alice_api) == asked(bob_api) == running


@pytest.mark.parametrize(("answer", "word"), [(204, "running"), (404, "running"), (500, "starting"), (503, "starting")])
def test_any_answer_below_500_will_do(alice_api, studio_at_fly, sandbox, answer, word):
    sandbox.fly_app(studio_at_fly.fly_app_id, dev_health=answer)
    assert asked(alice_api)[1]["data"]["status"] == word


def test_what_the_dev_server_says_beside_its_status_is_not_read(alice_api, studio_at_fly, sandbox):
    sandbox.faults(
        target="fly", match="GET /apps/*", status=200, body="x" * (8 << 20), headers={"Content-Encoding": "gzip"}
    )
    tracemalloc.start()
    try:
        assert asked(alice_api)[1]["data"]["status"] == "running"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_redirects_are_not_followed(alice_api, studio_at_fly, sandbox):
    away = {"Location": f"{sandbox.url}/_sandbox/state"}
    sandbox.faults(target="fly", match="GET /apps/*", status=302, headers=away)
    assert asked(alice_api)[1]["data"]["status"] == "running"
    assert asked_at_fly(sandbox) == [ASKS_ALL, pings(studio_at_fly)]


def test_a_poll_costs_two_queries_one_question_to_fly_and_one_ping(alice_api, studio_at_fly, sandbox):
    alice_api.get(PATH, appName="nothing")  # the first use of a token in a minute is noted
    with CaptureQueriesContext(connection) as queries:
        asked(alice_api)
    assert len(queries) == 2
    assert asked_at_fly(sandbox) == [ASKS_ALL, pings(studio_at_fly)]


def test_a_machine_that_hangs_costs_three_seconds_and_is_starting(alice_api, studio_at_fly, sandbox):
    sandbox.fly_app(studio_at_fly.fly_app_id, delay=30)
    with Stopwatch() as watch:
        answer = asked(alice_api)
    assert answer == (200, {"data": {"status": "starting", "url": studio_at_fly.url, "message": BOOTING}})
    assert watch.seconds > 2.5
    assert watch.at_ease < 4
    assert asked_at_fly(sandbox) == [ASKS_ALL, pings(studio_at_fly)]


def test_a_machine_that_cuts_the_connection_is_starting(alice_api, studio_at_fly, sandbox):
    sandbox.faults(target="fly", match="GET /apps/*", drop="before")
    assert asked(alice_api)[1]["data"]["status"] == "starting"


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"drop": "after", "times": 2}])
def test_while_fly_cannot_be_asked_the_status_is_unknown(alice_api, studio_at_fly, sandbox, fault):
    sandbox.faults(target="fly", match="GET /v1/orgs/*", **fault)
    told = {
        "status": "unknown",
        "url": studio_at_fly.url,
        "message": "Fly can't be asked about the workspace right now.",
    }
    assert asked(alice_api) == (200, {"data": told})


def test_while_fly_hangs_one_thread_waits_and_others_are_told_what_was_heard_last(studio_at_fly, sandbox):
    heard = fly_states.states()
    assert heard == {studio_at_fly.fly_app_id: "started"}
    cache.drop(fly_states._key())
    sandbox.clear_requests()
    with fly_hanging(sandbox):
        with Stopwatch() as watch:
            assert [fly_states.states() for _ in range(20)] == [heard] * 20
        assert watch.at_ease < 2
    assert asked_at_fly(sandbox) == [ASKS_ALL]


def test_of_what_fly_tells_machines_that_are_there_and_may_be_ours_are_kept(studio_at_fly, sandbox):
    app, others = studio_at_fly.fly_app_id, "somebodys-app"
    told = [(app, "stopped"), (app, "destroyed"), (app, "replaced"), (others, "started"), (others, "destroyed")]
    machines = [
        {"id": f"m{number}", "app_name": name, "state": state, "updated_at": "2030-05-06T12:00:00Z"}
        for number, (name, state) in enumerate(told)
    ]
    sandbox.faults(target="fly", match="GET /v1/orgs/*", body={"machines": machines, "next_cursor": ""})
    assert fly_states.states() == {app: "stopped"}


def test_while_fly_hangs_and_nothing_was_heard_others_wait_for_a_second(studio_at_fly, sandbox):
    with fly_hanging(sandbox):
        with Stopwatch() as watch:
            assert fly_states.states() == {}
        assert watch.seconds > 0.8
        assert watch.at_ease < 2.5


def test_after_a_failure_fly_is_left_alone_for_a_while_and_the_last_words_hold(studio_at_fly, sandbox):
    heard = fly_states.states()
    cache.drop(fly_states._key())
    sandbox.clear_requests()
    sandbox.faults(target="fly", match="GET /v1/orgs/*", status=500)
    assert [fly_states.states() for _ in range(3)] == [heard] * 3
    time.sleep(2.5)
    assert fly_states.states() == heard
    assert asked_at_fly(sandbox) == [ASKS_ALL]


def test_after_something_was_started_or_stopped_the_last_words_are_forgotten(studio_at_fly, sandbox):
    fly_states.states()
    fly_states.forget_states()
    sandbox.faults(target="fly", match="GET /v1/orgs/*", status=500)
    assert fly_states.states() == {}


def test_pages_without_end_are_given_up(studio_at_fly, monkeypatch):
    monkeypatch.setattr(fly_states, "_BUDGET_SECONDS", 0.0)
    assert fly_states.states() == {}


@contextmanager
def fly_hanging(sandbox):
    """While a thread asks Fly for the states, and Fly doesn't answer for three seconds."""
    sandbox.faults(target="fly", match="GET /v1/orgs/*", delay=3)
    first = threading.Thread(target=fly_states.states)
    first.start()
    until = time.monotonic() + 20
    while not fly_states._asking.locked() and time.monotonic() < until:
        time.sleep(0.02)
    yield
    first.join()


def test_one_that_hangs_keeps_one_thread_waiting_however_many_ask(studio_at_fly, sandbox):
    sandbox.fly_app(studio_at_fly.fly_app_id, delay=30)
    first = threading.Thread(target=status.is_healthy, args=[studio_at_fly])
    first.start()
    until = time.monotonic() + 20
    while not asked_at_fly(sandbox) and time.monotonic() < until:
        time.sleep(0.02)
    with Stopwatch() as watch:
        assert [status.is_healthy(studio_at_fly) for _ in range(20)] == [False] * 20
    assert watch.at_ease < 2
    first.join()
    assert asked_at_fly(sandbox) == [pings(studio_at_fly)]


def test_what_runs_says_when_it_is_going_to_be_stopped_for_want_of_use(alice_api, alice, studio_at_fly):
    IdlePolicy.objects.create(organization=alice.personal_organization, warn_after_days=10, days_to_react=3)
    Machine.objects.update(warned_at=timezone.now())
    day = timezone.now() + timedelta(days=3)
    told = said(alice_api.get(PATH, appName="studio"))[1]["data"]
    sentence = f"Nobody has used this workspace for long. It will be stopped on {day:%-d %B %Y}, unless somebody does."
    assert told == {"status": told["status"], "url": studio_at_fly.url, "message": told["message"]}
    assert told["message"].endswith(sentence)


@pytest.mark.parametrize(
    ("fly_state", "wanted", "status"),
    [
        ("stopping", "started", "starting"),
        ("stopped", "started", "starting"),
        ("started", "stopped", "stopping"),
        ("created", "stopped", "stopping"),
        ("stopped", "stopped", "stopped"),
    ],
)
def test_what_is_yet_to_be_done_at_fly_is_said(alice_api, studio_at_fly, sandbox, fly_state, wanted, status):
    sandbox.fly_clock(factor=0)
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state=fly_state)
    Machine.objects.update(wanted=wanted, wanted_at=timezone.now())
    told = said(alice_api.get(PATH, appName="studio"))[1]["data"]
    assert told["status"] == status
    assert told.get("message", "") == ("" if fly_state == wanted else f"The workspace is {status}…")


NO_WORKER = "No worker is running that could make the workspace. Create it again later, or tell an operator."


def data_of(api):
    return asked(api)[1]["data"]


@pytest.mark.parametrize("left", [{}, {"attempt": 1, "heartbeat_at": timezone.now() - timedelta(minutes=3)}])
def test_a_machine_that_waits_to_be_made_where_no_worker_is_ends(alice_api, alice, no_workers, left):
    """One that nobody has begun, and one whose worker is gone."""
    machine = make_machine(
        alice, "studio", state=State.CREATING, step="Waiting for a worker…", sealed_environment=b"x", **left
    )
    times = [timedelta(seconds=110), timedelta(minutes=3)]
    heard = []
    for ago in times if not left else times[1:]:
        Machine.objects.update(created_at=timezone.now() - ago)
        heard.append(data_of(alice_api))
    ended = {"status": "error", "url": machine.url, "error": NO_WORKER}
    waits = {"status": "creating", "url": machine.url, "message": "Waiting for a worker…"}
    assert heard == ([ended] if left else [waits, ended])
    assert data_of(alice_api) == ended
    machine.refresh_from_db()
    assert (machine.state, machine.sealed_environment.open(), jobs_of(machine)) == (State.UNDOING, b"x", 1)
    assert AuditEvent.objects.filter(action="machine.failed", details__error=NO_WORKER).count() == 1


@pytest.mark.parametrize("alive", ["a worker", "a heartbeat"])
def test_one_that_somebody_is_at_or_will_be_is_made(alice_api, alice, no_workers, alive):
    make_machine(alice, "studio", state=State.CREATING, created_at=timezone.now() - timedelta(minutes=9))
    if alive == "a worker":
        make_worker(ago=timedelta(seconds=60))
    else:
        Machine.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=60))
    assert data_of(alice_api)["status"] == "creating"


@pytest.mark.parametrize("meanwhile", ["its worker is heard of again", "another worker had it and handed it over"])
def test_one_that_a_worker_is_back_for_in_that_moment_is_made(alice, no_workers, meanwhile):
    long_ago = timezone.now() - timedelta(minutes=9)
    machine = make_machine(alice, "studio", state=State.CREATING, created_at=long_ago, attempt=1, heartbeat_at=long_ago)
    back = {"heartbeat_at": timezone.now()} if "heard" in meanwhile else {"attempt": 2, "heartbeat_at": None}
    Machine.objects.update(**back)
    assert queue.end_if_stalled(machine=machine, now=timezone.now()) is False
    machine.refresh_from_db()
    assert (machine.state, jobs_of(machine)) == (State.CREATING, 0)


def test_its_page_ends_it_too(alice, no_workers):
    machine = make_machine(alice, "studio", state=State.CREATING, created_at=timezone.now() - timedelta(minutes=9))
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/workspaces/states").json()["workspaces"][str(machine.pk)]["failed"] == NO_WORKER


def test_a_start_that_no_worker_sees_to_is_no_longer_said_to_be_under_way(alice_api, studio_at_fly, sandbox):
    sandbox.fly_machine(studio_at_fly.fly_machine_id, state="stopped")
    for ago, expected in (
        (timedelta(minutes=4), ("starting", "The workspace is starting…")),
        (timedelta(minutes=6),
         ("stopped", "The workspace could not be started. Nothing could see to it in time. Please try again.")),
    ):  # fmt: skip
        Machine.objects.update(wanted="started", wanted_at=timezone.now() - ago)
        told = data_of(alice_api)
        assert (told["status"], told["message"]) == expected


LOST = "Fly no longer has this workspace. Destroy it and create it again."
AN_HOUR_AGO = timezone.now() - timedelta(hours=1)


def test_a_machine_that_became_ready_while_fly_had_told_of_others_is_what_its_row_says(alice_api, alice, sandbox):
    make_machine(alice, "other", sandbox=sandbox)
    assert asked(alice_api, "other")[1]["data"]["status"] in {"running", "starting"}
    # What Fly said is kept for some seconds; the worker that made this one is another process.
    machine = make_machine(alice, "studio", sandbox=sandbox)
    sandbox.clear_requests()
    assert data_of(alice_api)["status"] in {"running", "starting"}
    assert {row["app_name"]: row["fly_state"] for row in alice_api.get("/api/cloud-dev/list").json()["data"]} == {
        "studio": "started",
        "other": "started",
    }
    assert not [path for path in asked_at_fly(sandbox) if "/v1/" in path]
    assert machine.fly_state == "started"


@pytest.mark.parametrize("is_app_there", [True, False])
def test_a_machine_that_fly_has_lost_is_an_error_that_says_so(alice_api, alice, sandbox, is_app_there):
    machine = make_machine(alice, "studio", ready_at=AN_HOUR_AGO, fly_state="started")
    Machine.objects.update(fly_state="started", wanted="started", wanted_at=timezone.now())
    if is_app_there:
        sandbox.add_fly_app(machine.fly_app_id)
    assert data_of(alice_api) == {"status": "error", "url": machine.url, "error": LOST}
    assert [row["fly_state"] for row in alice_api.get("/api/cloud-dev/list").json()["data"]] == ["error"]
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    news = browser.get("/workspaces/states").json()["workspaces"][str(machine.pk)]
    assert (news["word"], news["failed"], news["can_start"], news["can_stop"]) == ("Lost at Fly", LOST, False, False)
    # It is asked about once, and not by everybody.
    assert len([path for path in asked_at_fly(sandbox) if path.endswith("/machines") and "/apps/" in path]) == 1


@pytest.mark.parametrize(("seconds", "said"), [(60, "starting"), (80, "error")])
def test_for_about_a_minute_fly_may_not_know_yet_of_one_that_is_ready(alice_api, alice, sandbox, seconds, said):
    make_machine(alice, "other", sandbox=sandbox)
    make_machine(alice, "studio", fly_state="starting", ready_at=timezone.now() - timedelta(seconds=seconds))
    Machine.objects.filter(app_name="studio").update(fly_state="starting")
    assert data_of(alice_api)["status"] == said


def test_of_many_that_fly_leaves_out_a_request_asks_about_one(alice_api, alice, sandbox):
    for number in range(3):
        make_machine(alice, f"lost-{number}", ready_at=AN_HOUR_AGO)
    for count in (1, 2, 3, 3):
        words = [row["fly_state"] for row in alice_api.get("/api/cloud-dev/list").json()["data"]]
        assert sorted(words) == ["error"] * count + ["unknown"] * (3 - count)
    assert len([path for path in asked_at_fly(sandbox) if path.endswith("/machines") and "/apps/" in path]) == 3


def test_one_whose_region_fly_leaves_out_is_not_lost(alice_api, alice, sandbox):
    make_machine(alice, "studio", sandbox=sandbox, fly_state="stopped", ready_at=AN_HOUR_AGO)
    sandbox.faults(
        target="fly", match="GET /v1/orgs/*", body={"machines": [], "last_machine_id": "", "last_updated_at": ""}
    )
    assert data_of(alice_api)["status"] == "stopped"


def test_while_fly_fails_nothing_is_said_to_be_lost(alice_api, alice, sandbox):
    make_machine(alice, "studio", ready_at=AN_HOUR_AGO)
    sandbox.faults(target="fly", match="GET /v1/apps/*", status=500)
    assert data_of(alice_api)["status"] == "unknown"
