"""What our Fly client promises, held against the sandbox always and against the real Fly on request.

    FLY_ORG=… FLY_API_TOKEN=… make test ARGS="tests/contract --force-enable-socket"

Tests reach nothing beyond this machine; the option lifts that. Use an organization of its own: apps are made
under random names and deleted again, and two tests pay for a machine and a volume for some seconds.
A stand-in that drifts from the real thing fails here.
"""

import contextlib
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from dev.pytest_environment import CONTRACT_FLY
from fly.clients.machines_api import (
    Fly,
    FlyRefusesToken,
    NameTaken,
    Precondition,
    PreconditionFailed,
    UnknownApp,
    UnknownMachine,
    UnknownVolume,
)
from tests.fly.deleting import delete_machine

# Kept apart from the settings, which point at the sandbox.
REAL = tuple(os.environ.get(name, "") for name in CONTRACT_FLY.values())
GUEST = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}
CONFIG = {
    "image": "registry-1.docker.io/library/busybox:1.37",
    "init": {"exec": ["sleep", "3600"]},
    "guest": GUEST,
    "metadata": {"made_by": "contract-test"},
    "restart": {"policy": "no"},
}
# How long Fly may take until each of its hosts sees a change.
SETTLED_WITHIN = timedelta(minutes=1)


@dataclass
class Stage:
    """A Fly to test, and what was made there."""

    fly: Fly
    api_url: str
    platform_url: str
    made: list[str] = field(default_factory=list)

    def new_name(self) -> str:
        name = f"crayon-contract-{secrets.token_hex(8)}"
        self.made.append(name)
        return name

    def make_app(self) -> str:
        name = self.new_name()
        self.fly.create_app(name=name, network=f"{name}-net", idempotency_key=uuid.uuid4())
        self.settled(lambda: self.fly.get_app(name))
        return name

    def settled(self, call: Callable[[], Any]) -> Any:
        """The call's answer, once Fly sees what was just made."""
        until = time.monotonic() + SETTLED_WITHIN.total_seconds()
        while True:
            try:
                return call()
            except (UnknownApp, UnknownMachine, UnknownVolume, FlyRefusesToken, PreconditionFailed):
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def with_token(self, token: str) -> Fly:
        return Fly(api_url=self.api_url, platform_url=self.platform_url, token=token, org=self.fly.org)


@pytest.fixture(params=["sandbox", "real"] if all(REAL) else ["sandbox"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "sandbox":
        url = platform_url = request.getfixturevalue("sandbox").fly_url
        org, token = "sandbox", "sandbox-fly-org-token"
    else:
        url, platform_url = "https://api.machines.dev", "https://api.fly.io"
        org, token = REAL
    fly = Fly(api_url=url, platform_url=platform_url, token=token, org=org)
    stage = Stage(fly, url, platform_url)
    yield stage
    for name in stage.made:
        with contextlib.suppress(UnknownApp):
            fly.delete_app(name)


@pytest.fixture
def app(stage: Stage) -> str:
    return stage.make_app()


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + SETTLED_WITHIN.total_seconds()
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_app_is_listed_with_the_network_it_was_given(stage, app):
    found = stage.fly.get_app(app)

    assert (found.name, found.network) == (app, f"{app}-net")
    until(lambda: app in [item.name for item in stage.fly.list_apps()])


def test_asking_again_with_the_same_key_makes_no_second_app(stage):
    name, key = stage.new_name(), uuid.uuid4()

    for _ in range(2):
        stage.fly.create_app(name=name, network=f"{name}-net", idempotency_key=key)

    until(lambda: [item.name for item in stage.fly.list_apps()].count(name) == 1)


def test_a_name_is_taken_for_every_other_key(stage, app):
    with pytest.raises(NameTaken):
        stage.fly.create_app(name=app, network="another", idempotency_key=uuid.uuid4())

    assert stage.fly.get_app(app).network == f"{app}-net"


@pytest.mark.parametrize(
    "call",
    [
        lambda fly, name: fly.get_app(name),
        lambda fly, name: fly.delete_app(name),
        lambda fly, name: fly.list_addresses(name),
        lambda fly, name: fly.assign_address(name, kind="v6"),
        lambda fly, name: fly.set_secrets(name, {"A": "1"}),
        lambda fly, name: fly.deploy_token(name, expiry=timedelta(minutes=10)),
        lambda fly, name: fly.list_machines(name),
        lambda fly, name: fly.list_volumes(name),
    ],
)
def test_an_app_that_is_not_there_is_unknown_on_every_route(stage, call):
    with pytest.raises(UnknownApp):
        call(stage.fly, f"crayon-contract-{secrets.token_hex(8)}")


def test_an_app_that_is_deleted_is_unknown_before_long(stage, app):
    stage.fly.delete_app(app)

    def is_gone() -> bool:
        with contextlib.suppress(UnknownApp):
            stage.fly.get_app(app)
            return False
        return True

    until(is_gone)
    until(lambda: app not in [item.name for item in stage.fly.list_apps()])


def test_addresses_are_told_apart_by_kind(stage, app):
    assert stage.fly.list_addresses(app) == ()

    made = [stage.fly.assign_address(app, kind=kind).kind for kind in ("v6", "shared_v4")]

    assert made == ["v6", "shared_v4"]
    until(lambda: {address.kind for address in stage.fly.list_addresses(app)} == {"v6", "shared_v4"})


def test_secrets_are_set_and_taken_away_under_a_rising_version(stage, app):
    first = stage.fly.set_secrets(app, {"PLAIN": "1", "MULTI_LINE": 'a="#"\nINJECTED=2\n'})
    second = stage.fly.set_secrets(app, {"PLAIN": None, "OTHER": "2"})

    assert second > first


def test_a_deploy_token_is_good_for_its_app_alone(stage, app):
    other = stage.make_app()
    fly = stage.with_token(stage.fly.deploy_token(app, expiry=timedelta(minutes=10)))

    assert stage.settled(lambda: fly.list_machines(app)) == ()
    with pytest.raises((FlyRefusesToken, UnknownApp)):
        fly.list_machines(other)
    with pytest.raises(FlyRefusesToken):
        fly.create_app(name=stage.new_name(), network="", idempotency_key=uuid.uuid4())


def test_an_app_that_never_ran_has_no_logs(stage, app):
    assert stage.settled(lambda: stage.fly.logs(app)) == ()


def test_a_wrong_token_is_told_as_ours(stage, app):
    for token in ("fm2_bm90LWEtdG9rZW4=", "FlyV1 fm2_bm90LWEtdG9rZW4=", "not-a-token"):
        with pytest.raises(FlyRefusesToken):
            stage.with_token(token).list_apps()


@pytest.mark.parametrize("trap", ["x/machines", "x?force=true", "../apps", "x#y", "x%2Fmachines"])
def test_any_name_reaches_fly_whole(stage, trap):
    with pytest.raises((UnknownApp, FlyRefusesToken)):
        stage.fly.get_app(trap)


def test_a_volume_is_made_where_asked_and_destroyed(stage, app):
    made = stage.fly.create_volume(app, name="data", region="ams", size_gb=1, compute=GUEST)

    until(lambda: made.id in {volume.id for volume in stage.fly.list_volumes(app)})
    (found,) = stage.fly.list_volumes(app)
    assert (found.name, found.region, found.size_gb, found.machine_id, found.is_there) == ("data", "ams", 1, "", True)
    stage.fly.delete_volume(app, made.id)
    until(lambda: not any(volume.is_there for volume in stage.fly.list_volumes(app)))
    with pytest.raises(UnknownVolume):
        stage.fly.delete_volume(app, "vol_0000000000000000")


@pytest.mark.timeout(300)
def test_a_machine_starts_stops_and_goes(stage, app):
    fly = stage.fly
    made = fly.create_machine(app, name="one", region="ams,fra,iad", config=CONFIG)
    machine = stage.settled(lambda: fly.get_machine(app, made.id))

    assert (machine.name, machine.region) == ("one", made.region)
    assert machine.config.metadata == {"made_by": "contract-test"}
    assert "library/busybox:1.37" in machine.image
    assert machine.process_group == ""
    assert fly.wait_for_machine(app, made.id, state="started")
    assert [item.id for item in fly.list_machines(app)] == [made.id]
    pages = list(fly.pages_of_machines())
    assert (app, made.id) in {(item.app_name, item.id) for page in pages for item in page.machines}
    with pytest.raises(PreconditionFailed) as refused:
        fly.create_machine(app, name="one", region="ams", config=CONFIG)
    assert refused.value.kind == Precondition.NAME

    fly.stop_machine(app, made.id)
    until(lambda: fly.get_machine(app, made.id).state == "stopped")
    stage.settled(lambda: fly.start_machine(app, made.id))
    assert fly.wait_for_machine(app, made.id, state="started")
    delete_machine(fly, app, made.id)
    until(lambda: fly.list_machines(app) == ())


def test_waiting_for_what_does_not_come_ends(stage, app):
    made = stage.fly.create_machine(app, name="one", region="ams,fra,iad", config=CONFIG)
    assert stage.fly.wait_for_machine(app, made.id, state="started")

    assert not stage.fly.wait_for_machine(app, made.id, state="suspended", timeout=timedelta(seconds=1))


def test_a_machine_that_is_not_there_is_unknown_on_every_route(stage, app):
    for call in (
        lambda: stage.fly.get_machine(app, "0000000000000a"),
        lambda: stage.fly.start_machine(app, "0000000000000a"),
        lambda: stage.fly.stop_machine(app, "0000000000000a"),
    ):
        with pytest.raises(UnknownMachine):
            call()
