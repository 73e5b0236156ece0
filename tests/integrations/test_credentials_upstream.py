"""GET /api/credentials/{integration_id}, when Nango is in trouble or wants to be left alone."""

import time
from typing import Any

import pytest

from integrations.models import Connection
from integrations.sources.nango import client
from tests.integrations.conftest import own
from tests.stopwatch import Stopwatch


def credentials(api: Any, connection_id: str, integration: str = "acme", **options: Any) -> Any:
    return api.get(f"/api/credentials/{integration}", connection_id=connection_id, **options)


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        ({"status": 500}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 503}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 402}, 502, "Nango failed. Please try again in a moment."),
        ({"body": "<html>dashboard</html>"}, 502, "Nango failed. Please try again in a moment."),
        ({"status": 404, "body": "<html>not found</html>"}, 502, "Nango failed. Please try again in a moment."),
        ({"body": "{"}, 502, "Nango failed. Please try again in a moment."),
        ({"body": []}, 502, "Nango failed. Please try again in a moment."),
        ({"body": {"credentials": {}, "tags": []}}, 502, "Nango failed. Please try again in a moment."),
        ({"body": {"tags": {}, "connection_config": {}}}, 502, "Nango failed. Please try again in a moment."),
        ({"drop": "before", "times": 2}, 502, "Nango can't be reached right now. Please try again in a moment."),
        (
            {"status": 401},
            503,
            "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY.",
        ),
        (
            {"status": 403},
            503,
            "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY.",
        ),
        ({"status": 429}, 503, "Nango takes no more requests for the moment. Please try again shortly."),
    ],
)
def test_trouble_at_nango_is_told_as_such(alice, alice_api, sandbox, connect, fault, status, sentence):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", **fault)

    answer = credentials(alice_api, connection_id)

    assert answer.status_code == status
    assert answer.json() == {"error": sentence}
    assert Connection.objects.get().missing_since is None


def test_a_cut_connection_is_tried_once_more(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", drop="after")

    assert credentials(alice_api, connection_id).status_code == 200


def test_a_slow_nango_is_given_five_seconds(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", delay=20)

    with Stopwatch() as watch:
        answer = credentials(alice_api, connection_id)

    assert answer.status_code == 504
    assert answer.json() == {"error": "Nango did not answer in time. Please try again in a moment."}
    assert watch.seconds > 4.5
    assert watch.at_ease < 10


def test_nango_that_is_down_is_told_as_such(alice, alice_api, sandbox, settings):
    own(alice, "x")
    settings.NANGO_SERVER_URL = "http://127.0.0.1:9/nango"

    assert credentials(alice_api, "x").status_code == 502


def test_without_a_key_it_names_the_setting(alice_api, sandbox, settings):
    settings.NANGO_SECRET_KEY = ""

    answer = credentials(alice_api, "x")

    assert answer.status_code == 503
    assert answer.json() == {"error": "This server has no access to Nango: its operator must set NANGO_SECRET_KEY."}


def test_after_a_429_nango_is_left_alone(alice, alice_api, sandbox, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429, headers={"Retry-After": "40"})

    answers = [credentials(alice_api, connection_id) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [503] * 5
    assert answers[0]["Retry-After"] == "40"
    assert all(38 <= int(answer["Retry-After"]) <= 40 for answer in answers)
    assert len(calls()) == 1


def test_another_process_leaves_nango_alone_too(alice, alice_api, sandbox, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429)
    credentials(alice_api, connection_id)
    client._shared.cache_clear()

    assert credentials(alice_api, connection_id).status_code == 503
    assert len(calls()) == 1


def test_a_pause_of_no_time_is_a_second(alice, alice_api, sandbox, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    sandbox.faults(target="nango", match="GET /connections/*", status=429, headers={"Retry-After": "0"})

    assert credentials(alice_api, connection_id)["Retry-After"] == "1"
    time.sleep(1.1)
    assert credentials(alice_api, connection_id).status_code == 200


def test_unknown_ids_can_be_tried_thirty_times_a_minute(alice, charlie_api, connect, calls):
    connection_id = connect(alice)
    own(alice, connection_id)

    answers = [credentials(charlie_api, f"guess-{number}") for number in range(30)]
    assert {answer.status_code for answer in answers} == {404}
    guess, strange = credentials(charlie_api, "guess-31"), credentials(charlie_api, connection_id)

    assert guess.status_code == strange.status_code == 429
    assert guess.content == strange.content
    assert int(guess["Retry-After"]) >= 1
    assert len(calls()) == 30
