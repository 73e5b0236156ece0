import pytest
import urllib3

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/settings", {"app_lag": 1}),
        ("POST", "/settings", {"app_lag_reads": -1}),
        ("POST", "/settings", {"app_lag_reads": True}),
        ("POST", "/settings", {"rate_limits": 1}),
        ("POST", "/settings", {"app_lag_status": 500}),
        ("POST", "/settings", {"duplicate_ip_status": 200}),
        ("POST", "/clock", {"factor": -1}),
        ("POST", "/clock", {"advance": "10"}),
        ("POST", "/regions/ams", {"machines": -1}),
        ("POST", "/regions/ams", {"rooms": 1}),
        ("POST", "/apps", {}),
        ("POST", "/apps", {"name": "shop"}),
        ("POST", "/apps/shop", {"status": 99}),
        ("POST", "/apps/shop", {"mood": "bad"}),
        ("POST", "/apps/shop/logs", {"lines": [1]}),
        ("POST", "/apps/shop/logs", {"lines": [{"message": "a", "colour": "red"}]}),
        ("POST", "/apps/shop/logs", {}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    fly: FlyCaller, sandbox_process: SandboxProcess, http: urllib3.PoolManager, method: str, path: str, body: object
) -> None:
    answer = http.request(method, f"{sandbox_process.url}/_sandbox/fly{path}", json=body)
    assert (answer.status, set(answer.json())) == (400, {"error"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/regions/moon"),
        ("POST", "/apps/none"),
        ("DELETE", "/apps/none"),
        ("POST", "/machines/none"),
    ],
)
def test_what_is_not_there_is_not_found(
    fly: FlyCaller, sandbox_process: SandboxProcess, http: urllib3.PoolManager, method: str, path: str
) -> None:
    assert http.request(method, f"{sandbox_process.url}/_sandbox/fly{path}", json={}).status == 404


def test_a_reset_brings_back_apps_knobs_rooms_and_time(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(app_lag_reads=3, rate_limits=True)
    sandbox_process.fly_room("iad", machines=0)
    sandbox_process.reset()
    assert sandbox_process.control("GET", "/fly/settings")["app_lag_reads"] == 0
    assert sandbox_process.control("POST", "/fly/clock", {}) == {"factor": 10.0}
    assert sandbox_process.state()["fly"]["apps"] == {}
    fly.make_app("shop")
    fly.make_machine()


def test_the_state_shows_all_that_is_held(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.done("POST", "/v1/apps/shop/secrets", {"values": {"A": "x"}})
    fly.done("POST", "/v1/apps/shop/ip_assignments", {"type": "v6"})
    fly.done("POST", "/v1/apps/shop/volumes", {"name": "data", "region": "ams"})
    machine, deployer = fly.make_machine(lease_ttl=60), fly.deploy_token(expiry="1h")
    sandbox_process.add_fly_app("theirs", org_slug="elsewhere")
    held = sandbox_process.state()["fly"]
    assert {name: app["ours"] for name, app in held["apps"].items()} == {"shop": True, "theirs": False}
    assert held["apps"]["shop"]["secrets_version"] == 1
    shown = held["machines"][machine["id"]]
    assert (shown["app"], shown["leased"], shown["state"]) == ("shop", True, "created")
    assert {one["app"] for kind in ("volumes", "ips") for one in held[kind].values()} == {"shop"}
    assert held["secrets"] == {"shop": {"A": "x"}}
    assert held["tokens"][deployer.token]["app"] == "shop"


def test_an_app_taken_away_takes_its_machines_along(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_machine()
    sandbox_process.remove_fly_app("shop")
    assert sandbox_process.state()["fly"]["machines"] == {}
    assert fly("GET", MACHINES).status == 404


def test_a_lease_can_be_ended_from_outside(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(lease_ttl=300)
    sandbox_process.fly_machine(machine["id"], released=True)
    assert fly("DELETE", f"{MACHINES}/{machine['id']}?force=true").status == 200


def test_time_runs_at_the_pace_that_was_set(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    sandbox_process.fly_clock(factor=1_000_000)
    assert fly.state_of(machine) == "started"
