import time

import pytest
import urllib3

from tests.sandbox.actors import GitHubClient, NangoClient
from tests.sandbox_process import SandboxProcess


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"target": "stripe", "status": 500}, "target is one of github, nango, fly."),
        ({"target": "nango"}, "A fault needs status, delay, drop or body."),
        ({"target": "nango", "statsu": 500}, "Unknown fields: statsu."),
        ({"target": "nango", "status": 99}, "status is a whole number from 200 to 599."),
        ({"target": "nango", "delay": -1}, "delay is a number of seconds from 0 to 600."),
        ({"target": "nango", "drop": "never"}, "drop is 'before' or 'after'."),
        ({"target": "nango", "status": 500, "times": -1}, "times is a whole number; 0 or null means until cleared."),
        ({"target": "nango", "status": 500, "match": "connections"}, "match is a string such as 'GET /connections'."),
    ],
)
def test_it_refuses_an_order_that_makes_no_sense(
    sandbox_process: SandboxProcess, http: urllib3.PoolManager, order: dict[str, object], sentence: str
) -> None:
    answer = http.request("POST", f"{sandbox_process.url}/_sandbox/faults", json=order)
    assert (answer.status, answer.json()) == (400, {"error": sentence})


def test_a_fault_holds_once_unless_told_otherwise(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", match="GET /integrations", status=500)
    assert [nango("GET", "/integrations").status for _ in range(2)] == [500, 200]


def test_a_fault_holds_as_often_as_it_says(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", status=503, times=2)
    assert [nango("GET", "/integrations").status for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize("times", [0, None])
def test_a_fault_without_a_count_holds_until_it_is_cleared(
    sandbox_process: SandboxProcess, nango: NangoClient, times: int | None
) -> None:
    sandbox_process.faults(target="nango", status=503, times=times)
    assert [nango("GET", "/integrations").status for _ in range(3)] == [503, 503, 503]
    sandbox_process.clear_faults()
    assert nango("GET", "/integrations").status == 200


@pytest.mark.parametrize(
    ("match", "met"),
    [
        ("GET /connections", ["/connections", "/connections/a"]),
        ("GET /connections$", ["/connections"]),
        ("GET /connections/*", ["/connections/a"]),
        ("/connections", ["/connections", "/connections/a"]),
        ("* /integrations", ["/integrations"]),
        ("POST /connections", []),
        ("GET /connect", []),
        (None, ["/connections", "/connections/a", "/integrations"]),
    ],
)
def test_a_fault_meets_what_its_match_says(
    sandbox_process: SandboxProcess, nango: NangoClient, match: str | None, met: list[str]
) -> None:
    sandbox_process.faults(target="nango", match=match, status=418, times=0)
    paths = ["/connections", "/connections/a", "/integrations"]
    assert [path for path in paths if nango("GET", path).status == 418] == met


def test_a_fault_of_one_target_leaves_the_others_alone(
    sandbox_process: SandboxProcess, nango: NangoClient, github: GitHubClient
) -> None:
    sandbox_process.faults(target="github", match="GET /user", status=500, times=0)
    assert nango("GET", "/integrations").status == 200
    assert [github.api(path).status for path in ("/user", "/v3/user", "/v3/nothing")] == [500, 500, 404]


def test_a_delay_alone_only_delays(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", delay=0.3)
    started = time.monotonic()
    assert nango("GET", "/integrations").status == 200
    assert time.monotonic() - started >= 0.3


def test_a_delayed_request_holds_up_nobody_else(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", match="GET /integrations", delay=30)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        nango.pool.request("GET", f"{nango.base}/integrations", timeout=0.2)
    started = time.monotonic()
    assert nango("GET", "/connections").status == 200
    assert time.monotonic() - started < 20


def test_drop_before_cuts_the_connection_and_changes_nothing(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.faults(target="nango", match="POST /connect/sessions", drop="before")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        nango("POST", "/connect/sessions", {"tags": {}})
    assert sandbox_process.state()["nango"]["sessions"] == {}


def test_drop_after_makes_the_change_and_cuts_the_connection(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    sandbox_process.faults(target="nango", match="DELETE /connections/*", drop="after")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        nango("DELETE", "/connections/c1?provider_config_key=acme")
    assert sandbox_process.state()["nango"]["connections"] == {}
    assert [(entry["status"], entry["faulted"]) for entry in sandbox_process.requests("nango")] == [(None, True)]


def test_a_body_of_json_is_sent_as_json(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", status=409, body={"a": [1]})
    answer = nango("GET", "/integrations")
    assert (answer.status, answer.json) == (409, {"a": [1]})


def test_a_body_of_text_is_sent_as_it_is(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.faults(target="nango", body="{not json")
    sandbox_process.faults(target="nango", status=502, body="<p>down</p>")
    broken, page = nango("GET", "/integrations"), nango("GET", "/integrations")
    assert (broken.status, broken.text, broken.headers["Content-Type"]) == (200, "{not json", "application/json")
    assert (page.status, page.text, page.headers["Content-Type"]) == (502, "<p>down</p>", "text/html")


def test_a_status_without_a_body_answers_as_such_a_failure_usually_does(
    sandbox_process: SandboxProcess, nango: NangoClient, github: GitHubClient
) -> None:
    sandbox_process.faults(target="nango", status=500)
    assert nango("GET", "/integrations").json == {"error": {"code": "server_error"}}
    sandbox_process.faults(target="nango", status=429)
    limited = nango("GET", "/connections")
    assert limited.json == {"error": {"code": "too_many_request", "method": "GET", "path": "/connections"}}
    assert limited.headers["Retry-After"] == "30"
    sandbox_process.faults(target="github", status=502)
    assert github.api("/user").headers["Content-Type"].startswith("text/html")
