"""The dev server's API on a development machine."""

import base64
import json
import time
from typing import Any

import pytest

from tests.sandbox.actors import Answer
from tests.sandbox.fly.caller import FlyCaller
from tests.sandbox_process import SandboxProcess

CLAIMS = {"sub": "u", "app": "shop", "login": "alice", "use": "cron", "iat": 1, "exp": 4_000_000_000}
START = "/apps/shop/dev/api/workflows/{}/start"


def token(*, algorithm: str = "EdDSA", **claims: object) -> str:
    """A token of this shape, signed by nobody."""
    parts = ({"alg": algorithm}, {**CLAIMS, **claims})
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "x"]
    )


@pytest.fixture
def machine(fly: FlyCaller, sandbox_process: SandboxProcess) -> Any:
    """A running development machine that knows two workflows."""
    fly.done("POST", "/v1/apps/shop/ip_assignments", {"type": "v6"})
    made = fly.make_machine()
    sandbox_process.fly_clock(advance=15)
    orders = {"nightly": {"seconds": 60}, "a/b c": {"status": "ERROR", "error": "no luck"}}
    sandbox_process.fly_app("shop", workflows=orders)
    return made


def ask(fly: FlyCaller, method: str, path: str, body: object = None, *, bearer: str = "") -> Answer:
    return FlyCaller(fly.base, fly.pool, bearer or token())(method, path, body)


def test_a_workflow_runs_as_long_as_was_ordered(fly: FlyCaller, sandbox_process: SandboxProcess, machine: Any) -> None:
    run_id = ask(fly, "POST", START.format("nightly"), {"input": {"n": 1}}).json["runId"]
    run = f"/apps/shop/dev/api/runs/{run_id}"
    assert ask(fly, "GET", run).json["status"] == "running"
    sandbox_process.fly_clock(advance=61)
    assert ask(fly, "GET", run).json["status"] == "completed"
    held = sandbox_process.state()["fly"]["runs"][run_id]
    assert (held["app"], held["workflow"], held["input"], held["claims"]) == ("shop", "nightly", {"n": 1}, CLAIMS)


def test_a_workflow_may_fail_and_have_any_name(fly: FlyCaller, machine: Any) -> None:
    run_id = ask(fly, "POST", START.format("a%2Fb%20c"), {"input": None}).json["runId"]
    run = ask(fly, "GET", f"/apps/shop/dev/api/runs/{run_id}").json
    assert (run["status"], run["error"]) == ("ERROR", "no luck")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", START.format("other")),
        ("POST", START.format("a/b%20c")),
        ("GET", START.format("nightly")),
        ("GET", "/apps/shop/dev/api/runs/run-0"),
        ("POST", "/apps/shop/dev/api/runs/run-0"),
    ],
)
def test_what_was_not_ordered_is_not_there(fly: FlyCaller, machine: Any, method: str, path: str) -> None:
    assert ask(fly, method, path, {"input": 1} if method == "POST" else None).status == 404


@pytest.mark.parametrize("body", ["nonsense", {}, {"input": 1, "more": 2}])
def test_a_start_carries_the_input_and_nothing_else(fly: FlyCaller, machine: Any, body: object) -> None:
    assert ask(fly, "POST", START.format("nightly"), body).status == 400


@pytest.mark.parametrize(
    "bearer",
    [
        "sandbox-fly-org-token",
        "a.b.c",
        token(algorithm="none"),
        token(app="other"),
        token(exp=int(time.time()) - 1),
        token(sub=None),
        token(exp="4000000000"),
    ],
)
def test_a_token_for_the_machine_is_wanted(
    fly: FlyCaller, sandbox_process: SandboxProcess, machine: Any, bearer: str
) -> None:
    assert ask(fly, "POST", START.format("nightly"), {"input": 1}, bearer=bearer).status == 401
    assert sandbox_process.state()["fly"]["runs"] == {}


def test_what_makes_no_sense_is_not_taken_for_an_order(sandbox_process: SandboxProcess, machine: Any) -> None:
    for orders in ({"x": {"seconds": -1}}, {"x": {"speed": 1}}, {"x": 1}, [1]):
        with pytest.raises(ValueError, match="400"):
            sandbox_process.fly_app("shop", workflows=orders)
