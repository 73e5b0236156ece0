import threading
import time

import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def started(fly: FlyCaller, sandbox_process: SandboxProcess) -> str:
    """The path of a started machine."""
    machine = fly.make_machine()
    sandbox_process.fly_clock(advance=15)
    return f"{MACHINES}/{machine['id']}"


def state(fly: FlyCaller, path: str) -> str:
    return str(fly.done("GET", path)["state"])


def test_a_launched_machine_starts_step_by_step(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    seen = [fly.state_of(machine)]
    for seconds in (3, 8):
        sandbox_process.fly_clock(advance=seconds)
        seen.append(fly.state_of(machine))
    assert seen == ["created", "starting", "started"]
    events = fly.done("GET", f"{MACHINES}/{machine['id']}/events")
    assert [(one["type"], one["status"]) for one in events] == [
        ("start", "started"),
        ("start", "starting"),
        ("launch", "created"),
    ]
    assert len(fly.done("GET", f"{MACHINES}/{machine['id']}/events?limit=1")) == 1
    assert fly.refusal("GET", f"{MACHINES}/{machine['id']}/events?limit=51")[0] == 400


def test_a_machine_that_is_not_launched_cannot_start_until_its_image_is_prepared(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    machine = fly.make_machine(skip_launch=True)
    path = f"{MACHINES}/{machine['id']}/start"
    refused = fly.refusal("POST", path, {})
    assert refused == (412, "failed_precondition: unable to start machine from current state: 'created'")
    sandbox_process.fly_clock(advance=21)
    assert fly.state_of(machine) == "stopped"
    assert fly.done("POST", path, {}) == {"previous_state": "stopped", "migrated": False, "new_host": ""}
    assert fly.state_of(machine) == "starting"
    sandbox_process.fly_clock(advance=5)
    assert fly.state_of(machine) == "started"


def test_a_stopped_machine_is_still_active_for_a_while(
    fly: FlyCaller, sandbox_process: SandboxProcess, started: str
) -> None:
    active = (412, "failed_precondition: machine still active, refusing to start")
    assert fly.done("POST", f"{started}/stop", {"timeout": 5}) == {"ok": True}
    assert state(fly, started) == "stopping"
    assert fly.refusal("POST", f"{started}/start", {}) == active
    sandbox_process.fly_clock(advance=6)
    assert state(fly, started) == "stopped"
    assert fly.refusal("POST", f"{started}/start", {}) == active
    newest = fly.done("GET", started)["events"][0]
    assert newest["request"]["exit_event"]["requested_stop"] is True
    assert fly.done("POST", f"{started}/stop", {}) == {"ok": True}
    sandbox_process.fly_clock(advance=8)
    fly.done("POST", f"{started}/start", {})


def test_a_body_of_stop_is_an_object(fly: FlyCaller, started: str) -> None:
    assert fly.refusal("POST", f"{started}/stop", [])[0] == 400


def test_starting_a_started_machine_changes_nothing(fly: FlyCaller, started: str) -> None:
    assert fly.done("POST", f"{started}/start", {})["previous_state"] == "started"
    assert state(fly, started) == "started"


def test_a_machine_is_suspended_and_resumed(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    fly.done("POST", f"{started}/suspend", {})
    assert state(fly, started) == "suspending"
    sandbox_process.fly_clock(advance=5)
    assert state(fly, started) == "suspended"
    fly.done("POST", f"{started}/start", {})
    sandbox_process.fly_clock(advance=5)
    assert state(fly, started) == "started"


def test_a_suspended_machine_stops_at_once(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    fly.done("POST", f"{started}/suspend", {})
    sandbox_process.fly_clock(advance=5)
    fly.done("POST", f"{started}/stop", {})
    assert state(fly, started) == "stopped"
    assert fly.refusal("POST", f"{started}/suspend", {})[0] == 412


def test_a_restart_ends_started(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    fly.done("POST", f"{started}/restart?force_stop=true", {})
    assert state(fly, started) == "restarting"
    sandbox_process.fly_clock(advance=10)
    assert state(fly, started) == "started"


def test_a_running_machine_is_destroyed_by_force_only(
    fly: FlyCaller, sandbox_process: SandboxProcess, started: str
) -> None:
    refused = fly.refusal("DELETE", started)
    assert refused == (412, "failed_precondition: unable to destroy machine from current state: 'started'")
    assert fly.done("DELETE", f"{started}?force=true") == {"ok": True}
    assert state(fly, started) == "destroying"
    sandbox_process.fly_clock(advance=6)
    assert state(fly, started) == "destroyed"
    assert fly("DELETE", f"{started}?kill=true").status == 404
    assert fly("POST", f"{started}/start", {}).status == 404
    assert sandbox_process.state()["fly"]["machines"] == {}


def test_what_was_due_before_a_change_no_longer_happens(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    sandbox_process.fly_clock(advance=3)
    fly.done("POST", f"{MACHINES}/{machine['id']}/stop", {})
    sandbox_process.fly_clock(advance=60)
    assert fly.state_of(machine) == "stopped"


def test_a_launch_can_fail_and_the_machine_is_given_up(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(failing_launches=1)
    failing, good = fly.make_machine(), fly.make_machine()
    sandbox_process.fly_clock(advance=3)
    assert fly.state_of(failing) == "launch_failed"
    sandbox_process.fly_clock(advance=15)
    assert (fly.state_of(failing), fly.state_of(good)) == ("destroyed", "started")


@pytest.mark.parametrize(
    ("config", "code", "after"),
    [
        ({"restart": {"policy": "no"}}, 1, "stopped"),
        ({"restart": {"policy": "on-failure"}}, 0, "stopped"),
        ({"restart": {"policy": "on-failure"}}, 1, "started"),
        ({"restart": {"policy": "always"}}, 0, "started"),
        ({"restart": {"policy": "no"}, "auto_destroy": True}, 0, "destroyed"),
    ],
)
def test_what_follows_the_end_of_a_program_is_up_to_the_policy(
    fly: FlyCaller, sandbox_process: SandboxProcess, config: dict[str, object], code: int, after: str
) -> None:
    machine = fly.make_machine(config=config)
    sandbox_process.fly_clock(advance=15)
    sandbox_process.fly_machine(machine["id"], exit_code=code, oom_killed=code == 1)
    sandbox_process.fly_clock(advance=15)
    assert fly.state_of(machine) == after
    events = fly.done("GET", f"{MACHINES}/{machine['id']}")["events"]
    [exited] = [one["request"]["exit_event"] for one in events if one["type"] == "exit"]
    assert (exited["exit_code"], exited["oom_killed"], exited["requested_stop"]) == (code, code == 1, False)


def test_the_platform_may_lose_a_machine(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    machine_id = started.rpartition("/")[2]
    checks = [{"name": "http", "status": "critical", "output": "refused"}]
    sandbox_process.fly_machine(machine_id, state="failed", host_status="unreachable", checks=checks)
    shown = fly.done("GET", started)
    assert (shown["state"], shown["host_status"], shown["checks"]) == ("failed", "unreachable", checks)
    assert fly("POST", f"{started}/start", {}).status == 503
    sandbox_process.fly_machine(machine_id, host_status="ok")
    assert fly("POST", f"{started}/start", {}).status == 200


def test_waiting_ends_when_the_state_is_reached(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    timer = threading.Timer(0.3, sandbox_process.fly_clock, kwargs={"advance": 15})
    timer.start()
    began = time.monotonic()
    reached = fly.done("GET", f"{MACHINES}/{machine['id']}/wait?state=started&timeout=30")
    timer.join()
    assert 0.2 < time.monotonic() - began < 20
    assert (reached["ok"], reached["state"], reached["version"]) == (True, "started", machine["instance_id"])


def test_waiting_is_over_after_its_time(fly: FlyCaller) -> None:
    machine = fly.make_machine()
    refused = fly.refusal("GET", f"{MACHINES}/{machine['id']}/wait?state=started&timeout=1")
    text = "deadline_exceeded: machine failed to reach desired state, started, currently created"
    assert refused == (408, text)


@pytest.mark.parametrize(
    "query",
    ["timeout=0", "timeout=61", "timeout=x", "state=happy", "state=stopped"],
)
def test_waiting_for_nonsense_is_refused(fly: FlyCaller, started: str, query: str) -> None:
    assert fly.refusal("GET", f"{started}/wait?{query}")[0] == 400


def test_waiting_looks_at_the_version(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    old = fly.done("GET", started)["instance_id"]
    new = fly.done("POST", started, {"config": {"image": "i"}})["instance_id"]
    assert fly("GET", f"{started}/wait?state=started&instance_id={old}&timeout=1").status == 408
    assert fly("GET", f"{started}/wait?state=stopped&instance_id={old}&timeout=1").status == 200
    sandbox_process.fly_clock(advance=15)
    assert fly("GET", f"{started}/wait?state=started&version={new}&timeout=1").status == 200
    assert fly("GET", f"{started}/wait?state=started&version=NONE&timeout=1").status == 404


def test_waiting_for_several_states_takes_any(fly: FlyCaller, started: str) -> None:
    version = fly.done("GET", started)["instance_id"]
    query = f"state=stopped,started&instance_id={version}&timeout=1"
    assert fly.done("GET", f"{started}/wait?{query}")["state"] == "started"
    assert fly.done("GET", f"{started}/wait?state=settled&timeout=1")["state"] == "started"


def test_only_the_holder_of_a_lease_may_change_a_machine(fly: FlyCaller, started: str) -> None:
    answer = fly("POST", f"{started}/lease?ttl=13", {"description": "deploy"})
    assert (answer.status, answer.json["status"]) == (201, "success")
    held = answer.json["data"]
    assert (held["description"], held["version"]) == ("deploy", fly.done("GET", started)["instance_id"])
    nonce = {"fly-machine-lease-nonce": held["nonce"]}
    for method, path, body in [
        ("POST", started, {"config": {"image": "i"}}),
        ("POST", f"{started}/stop", {}),
        ("POST", f"{started}/metadata/a", {"value": "b"}),
        ("DELETE", f"{started}?force=true", None),
        ("POST", f"{started}/lease", {"ttl": 13}),
        ("DELETE", f"{started}/lease", None),
    ]:
        refused = fly(method, path, body, headers={"fly-machine-lease-nonce": "wrong"})
        assert (refused.status, refused.json["status"]) == (409, "error")
        assert "lease currently held by sandbox@example.com, expires at " in refused.json["message"]
    assert fly.done("GET", f"{started}/lease")["data"]["nonce"] == ""
    assert fly("POST", f"{started}/lease", {"ttl": 13}, headers=nonce).json["data"]["nonce"] == held["nonce"]
    fly.done("POST", f"{started}/stop", {}, headers=nonce)
    fly.done("DELETE", f"{started}/lease", headers=nonce)
    assert fly("GET", f"{started}/lease").status == 404


def test_a_lease_ends_by_itself(fly: FlyCaller, sandbox_process: SandboxProcess, started: str) -> None:
    fly.done("POST", f"{started}/lease", {"ttl": 13})
    assert fly("POST", f"{started}/stop", {}).status == 409
    sandbox_process.fly_clock(advance=14)
    fly.done("POST", f"{started}/stop", {})


def test_a_lease_may_come_with_the_machine(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(lease_ttl=300)
    path = f"{MACHINES}/{machine['id']}"
    assert fly("DELETE", f"{path}?force=true").status == 409
    [listed] = fly.done("GET", f"{MACHINES}?include_leases=true")
    assert listed["lease"]["owner"] == "sandbox@example.com"
    assert "nonce" not in listed["lease"]
    fly.done("DELETE", f"{path}?force=true", headers={"fly-machine-lease-nonce": machine["nonce"]})


@pytest.mark.parametrize("ttl", ["soon", 0, -1])
def test_a_lease_lasts_a_while(fly: FlyCaller, started: str, ttl: object) -> None:
    assert fly.refusal("POST", f"{started}/lease", {"ttl": ttl})[0] == 400
