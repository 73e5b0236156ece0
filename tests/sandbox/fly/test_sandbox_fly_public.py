import time
from typing import Any

import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

AUTOSTART = {"services": [{"internal_port": 8080, "autostart": True}]}


@pytest.fixture
def address(fly: FlyCaller) -> None:
    """The app has an address."""
    fly.done("POST", "/v1/apps/shop/ip_assignments", {"type": "v6"})


@pytest.fixture
def run(fly: FlyCaller, sandbox_process: SandboxProcess, address: None) -> Any:
    def start(**config: object) -> Any:
        machine = fly.make_machine(config=config)
        sandbox_process.fly_clock(advance=15)
        return machine

    return start


def test_a_started_app_says_what_it_runs(fly: FlyCaller, run: Any) -> None:
    machine = run(image="registry.fly.io/shop:deployment-7", metadata={"crayon_commit": "<b>0f1e2d"})
    for path in ("/shop", "/shop/", "/shop/any/where?x=1"):
        answer = fly.public(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        for text in ("<h1>shop</h1>", "&lt;b&gt;0f1e2d", "deployment-7", machine["id"]):
            assert text in answer.text


def test_the_commit_may_be_in_the_environment(fly: FlyCaller, run: Any) -> None:
    run(env={"CRAYON_COMMIT": "abc123"})
    assert "abc123" in fly.public("/shop").text


def test_an_update_is_seen(fly: FlyCaller, sandbox_process: SandboxProcess, run: Any) -> None:
    machine = run(metadata={"crayon_commit": "first"})
    config = {"image": "i", "metadata": {"crayon_commit": "second"}}
    fly.done("POST", f"{MACHINES}/{machine['id']}", {"config": config})
    sandbox_process.fly_clock(advance=15)
    assert "second" in fly.public("/shop").text


def test_an_unknown_app_is_not_there(fly: FlyCaller) -> None:
    assert fly.public("/none/").status == 404


def test_an_app_without_an_address_is_not_reached(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_machine()
    sandbox_process.fly_clock(advance=15)
    assert fly.public("/shop").status == 502


def test_an_app_without_a_started_machine_is_unavailable(fly: FlyCaller, address: None) -> None:
    assert fly.public("/shop").status == 503
    fly.make_machine()
    assert fly.public("/shop").status == 503


def test_a_stopped_machine_wakes_when_its_services_say_so(
    fly: FlyCaller, sandbox_process: SandboxProcess, run: Any
) -> None:
    machine = run(**AUTOSTART)
    fly.done("POST", f"{MACHINES}/{machine['id']}/stop", {})
    sandbox_process.fly_clock(factor=100)
    assert fly.public("/shop").status == 200
    assert fly.state_of(machine) == "started"


def test_a_stopped_machine_stays_so_without_them(fly: FlyCaller, sandbox_process: SandboxProcess, run: Any) -> None:
    machine = run(services=[{"internal_port": 8080, "autostart": False}])
    fly.done("POST", f"{MACHINES}/{machine['id']}/stop", {})
    sandbox_process.fly_clock(advance=30)
    assert fly.public("/shop").status == 503
    assert fly.state_of(machine) == "stopped"


def test_a_machine_that_finds_no_room_does_not_wake(fly: FlyCaller, sandbox_process: SandboxProcess, run: Any) -> None:
    machine = run(**AUTOSTART)
    fly.done("POST", f"{MACHINES}/{machine['id']}/stop", {})
    sandbox_process.fly_clock(advance=30)
    sandbox_process.fly_room(machine["region"], machines=0)
    assert fly.public("/shop").status == 503


def test_a_cordoned_machine_gets_no_requests(fly: FlyCaller, run: Any) -> None:
    path = f"{MACHINES}/{run()['id']}"
    fly.done("POST", f"{path}/cordon", {})
    assert fly.public("/shop").status == 503
    fly.done("POST", f"{path}/uncordon", {})
    assert fly.public("/shop").status == 200


def test_a_program_may_be_broken_or_slow(fly: FlyCaller, sandbox_process: SandboxProcess, run: Any) -> None:
    run()
    sandbox_process.fly_app("shop", status=500)
    assert fly.public("/shop").status == 500
    sandbox_process.fly_app("shop", status=None, delay=0.3)
    began = time.monotonic()
    assert fly.public("/shop").status == 200
    assert time.monotonic() - began >= 0.3
    sandbox_process.fly_app("shop", delay=None, status=302, body="<p>mine</p>")
    assert (fly.public("/shop").status, fly.public("/shop").text) == (302, "<p>mine</p>")


def test_a_development_machine_tells_its_health(fly: FlyCaller, sandbox_process: SandboxProcess, run: Any) -> None:
    run()
    assert fly.public("/shop/dev/__health").json == {"status": "ok"}
    sandbox_process.fly_app("shop", dev_health=503)
    assert (fly.public("/shop/dev/__health").status, fly.public("/shop").status) == (503, 200)


def test_a_deployed_app_has_no_such_health(fly: FlyCaller, run: Any) -> None:
    run(metadata={"fly_process_group": "app"})
    assert "<h1>shop</h1>" in fly.public("/shop/dev/__health").text
