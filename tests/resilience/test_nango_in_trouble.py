"""Nango down, slow, busy, cutting connections or talking nonsense, seen from the running server."""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Connection
from tests.conftest import token_of
from tests.gunicorn_process import GunicornProcess
from tests.resilience.conftest import Tool
from tests.resilience.web import check, start_login
from tests.stopwatch import Stopwatch

AWAY = {"error": "Nango can't be reached right now. Please try again in a moment."}
SLOW = {"error": "Nango did not answer in time. Please try again in a moment."}
FAILED = {"error": "Nango failed. Please try again in a moment."}
BUSY = {"error": "Nango takes no more requests for the moment. Please try again shortly."}
QUESTIONS: dict[str, Callable[[Tool], Any]] = {
    "integrations": lambda tool: tool.integrations(),
    "connections": lambda tool: tool.connections(),
    "credentials": lambda tool: tool.credentials("main"),
    "connect": lambda tool: tool.connect(),
    "reconnect": lambda tool: tool.connect(connection_id="main"),
    "create": lambda tool: tool.create("second"),
    "delete": lambda tool: tool.delete("main"),
}


def told(answer: Any) -> tuple[int, Any]:
    return answer.status, answer.json()


def at_nango(sandbox: Any) -> dict[str, Any]:
    return dict(sandbox.state()["nango"]["connections"])


@pytest.fixture
def main(alices):
    """alice has a connection already."""
    assert alices.create("main").status == 200
    return "main"


def test_while_nango_is_down_each_route_says_so_and_all_works_again_at_once(server, sandbox, alices, main):
    code, secret = start_login(server)
    sandbox.faults(target="nango", drop="before", times=0)

    assert {name: told(ask(alices)) for name, ask in QUESTIONS.items()} == dict.fromkeys(QUESTIONS, (502, AWAY))
    assert check(server, code, secret).json() == {"data": {"status": "pending"}}
    assert server.request("GET", "/_/ready").status == 200

    sandbox.clear_faults()
    # What was half deleted is finished, and what was not created is.
    assert [told(alices.delete("main")), told(alices.create("second"))] == [
        (200, {"ok": True}),
        (200, {"data": {"connection_id": "second"}}),
    ]
    assert alices.integrations().status == alices.credentials("second").status == 200
    assert [item["connection_id"] for item in alices.connections().json()["data"]] == ["second"]
    assert list(at_nango(sandbox)) == ["second"]


def test_a_nango_that_is_not_there_at_all_is_told_as_such(sandbox, persons):
    with GunicornProcess(sandbox=sandbox, environment={"NANGO_SERVER_URL": "http://127.0.0.1:1/nango"}) as server:
        tool = Tool(server, token_of(persons["alice"]))
        with Stopwatch() as watch:
            answers = {name: told(ask(tool)) for name, ask in QUESTIONS.items()}
    # Nothing is recorded for alice, so that both of these had to ask first.
    assert answers == dict.fromkeys(QUESTIONS, (502, AWAY))
    assert watch.at_ease < 5
    assert not Connection.objects.exists()


def test_a_slow_nango_costs_five_seconds_and_holds_nobody_else_up(server, sandbox, alices, main):
    code, secret = start_login(server)
    # Something of its own to delete, or the reconnecting would find "main" half gone.
    assert alices.create("third").status == 200
    questions = QUESTIONS | {"delete": lambda tool: tool.delete("third")}
    sandbox.faults(target="nango", delay=30, times=0)
    answers: dict[str, tuple[int, Any, Stopwatch]] = {}

    def ask(name: str) -> None:
        with Stopwatch() as watch:
            status, body = told(questions[name](alices))
        answers[name] = status, body, watch

    threads = [threading.Thread(target=ask, args=[name]) for name in QUESTIONS]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    polls = []
    for _ in range(10):
        with Stopwatch() as watch:
            assert check(server, code, secret).status == 200
        polls.append(watch.at_ease)
    for thread in threads:
        thread.join()

    assert {name: (status, body) for name, (status, body, _) in answers.items()} == dict.fromkeys(
        QUESTIONS, (504, SLOW)
    )
    assert all(watch.seconds > 4.5 and watch.at_ease < 7 for *_, watch in answers.values()), answers
    assert max(polls) < 3


def test_a_nango_that_takes_long_each_time_has_five_seconds_for_all_calls_of_a_request(
    server, sandbox, alices, bobs, main
):
    assert alices.create("third").status == 200
    questions = {name: QUESTIONS[name] for name in ("create", "reconnect")}
    questions["delete"] = lambda tool: tool.delete("third")
    sandbox.faults(target="nango", delay=3, times=0)
    answers: dict[str, tuple[int, Any]] = {}
    watches: list[Stopwatch] = []

    def ask(name: str) -> None:
        with Stopwatch() as watch:
            answers[name] = told(questions[name](alices))
        watches.append(watch)

    threads = [threading.Thread(target=ask, args=[name]) for name in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == dict.fromkeys(questions, (504, SLOW))
    assert all(watch.seconds > 4.5 and watch.at_ease < 6.5 for watch in watches)
    # What was sent may still arrive: nobody else gets these ids, and their owner settles both.
    sandbox.clear_faults()
    assert [told(bobs.create(name))[0] for name in ("second", "third")] == [409, 409]
    assert told(alices.credentials("third"))[0] == 404
    assert told(alices.delete("third")) == (200, {"ok": True})
    assert told(alices.create("second")) == (200, {"data": {"connection_id": "second"}})
    assert [item["connection_id"] for item in alices.connections().json()["data"]] == ["second", "main"]


def test_a_busy_nango_is_left_alone_for_as_long_as_it_asks(server, sandbox, alices, main):
    sandbox.faults(target="nango", status=429, headers={"Retry-After": "15"}, times=1)
    sandbox.clear_requests()

    answers = [ask(alices) for ask in [QUESTIONS["credentials"], *QUESTIONS.values()] for _ in range(2)]

    assert {told(answer)[0] for answer in answers} == {503}
    assert all(answer.json() == BUSY for answer in answers)
    assert answers[0].headers["Retry-After"] == "15"
    assert all(1 <= int(answer.headers["Retry-After"]) <= 15 for answer in answers)
    assert len(sandbox.requests("nango")) == 1


def test_a_busy_nango_is_asked_again_once_it_may_be(server, sandbox, alices, main):
    sandbox.faults(target="nango", status=429, headers={"Retry-After": "1"}, times=1)
    assert told(alices.integrations()) == (503, BUSY)
    time.sleep(1.1)
    assert alices.integrations().status == 200
    assert told(alices.delete("main")) == (200, {"ok": True})


def test_a_creation_whose_answer_was_lost_is_finished_by_its_maker_and_nobody_else(sandbox, alices, bobs, persons):
    sandbox.faults(target="nango", match="POST /connections", drop="after", times=2)

    assert told(alices.create("main", key="alices-key")) == (502, AWAY)
    assert list(at_nango(sandbox)) == ["main"]
    assert told(bobs.create("main", key="bobs-key"))[0] == 409
    assert told(bobs.delete("main"))[0] == told(bobs.credentials("main"))[0] == 404
    assert told(alices.create("main", key="alices-key")) == (200, {"data": {"connection_id": "main"}})

    assert alices.credentials("main").json()["data"]["token"] == "alices-key"
    assert at_nango(sandbox)["main"]["tags"]["end_user_id"] == str(persons["alice"].pk)
    assert Connection.objects.get().owner == persons["alice"]


def test_a_creation_whose_answer_was_lost_and_that_nobody_repeats_is_the_makers(sandbox, alices, bobs):
    sandbox.faults(target="nango", match="POST /connections", drop="after", times=2)
    assert alices.create("main").status == 502

    assert [item["connection_id"] for item in alices.connections().json()["data"]] == ["main"]
    assert alices.credentials("main").status == 200
    assert bobs.connections().json() == {"data": []}


def test_a_deletion_whose_answer_was_lost_is_finished_by_trying_again(sandbox, alices, bobs, main):
    sandbox.faults(target="nango", match="DELETE /connections", drop="after", times=2)

    assert told(alices.delete("main")) == (502, AWAY)
    assert told(alices.credentials("main"))[0] == 404
    assert alices.connections().json() == {"data": []}
    assert told(alices.delete("main")) == (200, {"ok": True})

    assert at_nango(sandbox) == {}
    # What was cut may still arrive, so the id is free for others only a while later.
    assert told(bobs.create("main"))[0] == 409
    Connection.objects.update(claimed_at=timezone.now() - timedelta(minutes=2))
    assert told(bobs.create("main"))[0] == 200


@pytest.mark.parametrize("kind", ["create", "delete", "connect"])
def test_one_cut_is_not_even_noticed(sandbox, alices, main, kind):
    match = {"create": "POST /connections", "delete": "DELETE /connections", "connect": "POST /connect/sessions"}[kind]
    sandbox.faults(target="nango", match=match, drop="after")
    assert QUESTIONS[kind](alices).status == 200


def test_a_connect_session_whose_answer_was_lost_is_asked_for_again_and_works(sandbox, alices, persons):
    sandbox.faults(target="nango", match="POST /connect/sessions", drop="after", times=2)
    assert told(alices.connect()) == (502, AWAY)

    assert alices.connect().status == 200
    sandbox.press_connect(api_key="not-a-secret-key")
    sandbox.webhooks()

    assert len(alices.connections().json()["data"]) == 1
    assert Connection.objects.get().owner == persons["alice"]


DEEP = "[" * 2_000 + "]" * 2_000
NONSENSE = (
    "", "<html>dashboard</html>", "{", "null", "[]", '"x"', "{}", DEEP, '{"data": null}', '{"data": [7]}',
    '{"connections": {}}', '{"connections": [{"connection_id": 7}]}', '{"data": [{"unique_key": null}]}',
    '{"data": {"token": 7}}', '{"credentials": []}', '{"success": "true"}', '{"provider_config_key": "other"}',
)  # fmt: skip


def test_nonsense_from_nango_is_a_failure_that_changes_nothing(sandbox, alices, persons, main):
    before = Connection.objects.values("owner", "connection_id", "state", "missing_since").get()
    for body in NONSENSE:
        sandbox.faults(target="nango", status=200, body=body, content_type="application/json", times=0)
        for name in ("integrations", "connections", "credentials", "connect"):
            assert told(QUESTIONS[name](alices)) == (502, FAILED), (name, body[:40])
        sandbox.clear_faults()
    assert Connection.objects.values("owner", "connection_id", "state", "missing_since").get() == before
    assert alices.credentials("main").status == 200


def test_credentials_too_deep_to_be_passed_on_are_a_failure(sandbox, alices, persons, main):
    deep: dict[str, Any] = {"apiKey": "not-a-secret-key"}
    for _ in range(300):
        deep = {"a": deep}
    body = {"tags": {"end_user_id": str(persons["alice"].pk)}, "credentials": deep, "connection_config": {}}
    sandbox.faults(
        target="nango",
        match="GET /connections/main",
        status=200,
        body=json.dumps(body),
        content_type="application/json",
    )
    assert told(alices.credentials("main")) == (502, FAILED)


@pytest.mark.parametrize("body", ["<html>dashboard</html>", "{}", '{"success": "true"}', '{"connection_id": "other"}'])
def test_nonsense_in_answer_to_a_change_is_a_failure_that_can_be_repeated(sandbox, alices, main, body):
    for match, name in (("POST /connections", "create"), ("DELETE /connections", "delete")):
        sandbox.faults(target="nango", match=match, status=200, body=body, content_type="application/json")
        assert told(QUESTIONS[name](alices)) == (502, FAILED)
        assert QUESTIONS[name](alices).status == 200
