import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from tests.sandbox_process import SandboxProcess

ROOT = Path(__file__).resolve().parent.parent.parent


def test_it_refuses_a_misspelt_setting(sandbox_process: SandboxProcess) -> None:
    with pytest.raises(ValueError, match=r"Unknown fields: rate_limit\."):
        sandbox_process.settings(rate_limit=5)


def test_it_refuses_a_setting_of_the_wrong_type(sandbox_process: SandboxProcess) -> None:
    for wrong in ({"webhooks": 1}, {"rate_limit_per_minute": "many"}, {"scopes": "all"}, {"webhook_retry_seconds": -1}):
        with pytest.raises(ValueError, match="wrong type or value"):
            sandbox_process.settings(**wrong)


def test_it_says_when_it_cannot_start() -> None:
    with SandboxProcess() as first:
        taken = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match="did not start"):
            SandboxProcess(port=taken).start()


def test_it_stops_at_once_with_requests_under_way() -> None:
    process = SandboxProcess().start()
    process.faults(target="nango", delay=60)
    with urllib3.PoolManager(retries=False) as pool, pytest.raises(urllib3.exceptions.HTTPError):
        pool.request("GET", f"{process.nango_url}/integrations", timeout=0.2)
    started = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - started < 20


def test_two_processes_share_nothing(sandbox_process: SandboxProcess) -> None:
    with SandboxProcess() as other:
        other.seed(integration="acme", connection_id="theirs")
        assert sandbox_process.state()["nango"]["connections"] == {}


def test_a_reset_brings_back_what_the_process_was_started_with(sandbox_process: SandboxProcess) -> None:
    before = sandbox_process.state()
    sandbox_process.seed(integration="acme")
    sandbox_process.settings(rate_limit_per_minute=1, webhook_url="http://127.0.0.1:9/")
    sandbox_process.faults(target="nango", status=500, times=None)
    sandbox_process.reset()
    assert sandbox_process.state() == before
    assert sandbox_process.settings()["rate_limit_per_minute"] == 200
    assert sandbox_process.control("GET", "/faults") == {"faults": []}


def test_the_state_has_a_place_for_everything(sandbox_process: SandboxProcess) -> None:
    state = sandbox_process.state()
    assert set(state) == {"github", "nango", "fly"}
    assert set(state["nango"]) == {"integrations", "connections", "sessions"}
    assert state["fly"] == {
        "apps": {},
        "machines": {},
        "volumes": {},
        "ips": {},
        "secrets": {},
        "tokens": {},
        "runs": {},
    }
    assert set(state["nango"]["integrations"]) == {
        "salesforce",
        "hubspot",
        "slack",
        "linear",
        "github",
        "acme",
        "postgres",
    }


def test_unknown_paths_outside_the_stand_ins_answer_json(
    sandbox_process: SandboxProcess, http: urllib3.PoolManager
) -> None:
    for path in ("/", "/flying", "/_sandbox/nothing"):
        response = http.request("GET", sandbox_process.url + path)
        assert (response.status, response.json()) == (404, {"error": "There is nothing at this path."})


def test_requests_are_kept_without_the_keys_they_carried(
    sandbox_process: SandboxProcess, http: urllib3.PoolManager
) -> None:
    headers = {"Authorization": "Bearer secret-value", "X-Request-ID": "r1"}
    http.request("GET", f"{sandbox_process.nango_url}/connections?a=1", headers=headers)
    http.request("GET", f"{sandbox_process.github_url}/nothing")
    [kept] = sandbox_process.requests("nango")
    assert (kept["method"], kept["path"], kept["query"], kept["status"]) == ("GET", "/connections", "a=1", 401)
    assert kept["headers"]["x-request-id"] == "r1"
    assert "secret-value" not in str(kept)
    assert [entry["target"] for entry in sandbox_process.requests()] == ["nango", "github"]
    sandbox_process.clear_requests()
    assert sandbox_process.requests() == []


def test_it_imports_nothing_of_the_server() -> None:
    listing = "import sandbox.__main__, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"django", "rest_framework", "config", "accounts", "integrations"}
