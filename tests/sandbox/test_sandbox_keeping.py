"""What the sandbox knew is known to the next process on the same file."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.sandbox.actors import GitHubClient, NangoClient
from tests.sandbox_process import SandboxProcess

ORGANIZATION = {"Authorization": "Bearer sandbox-fly-org-token"}
CONFIG = {"image": "registry.fly.io/shop:v1", "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}}
Restart = Callable[..., SandboxProcess]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.state"


@pytest.fixture
def restart(file: Path) -> Iterator[Restart]:
    """Ends the process that runs, if one does, and starts another one on its file."""
    running: list[SandboxProcess] = []

    def again(*, kill: bool = False) -> SandboxProcess:
        while running:
            process = running.pop()
            if kill:
                os.kill(process.pid, signal.SIGKILL)
            process.stop()
        running.append(SandboxProcess(environment={"SANDBOX_STATE": str(file)}).start())
        return running[0]

    yield again
    while running:
        running.pop().stop()


def fly(sandbox: SandboxProcess, http: urllib3.PoolManager, method: str, path: str, body: object = None) -> Any:
    answer = http.request(method, f"{sandbox.fly_url}/v1{path}", json=body, headers=ORGANIZATION)
    assert answer.status < 300, answer.data
    return answer.json()


def make_all(sandbox: SandboxProcess, http: urllib3.PoolManager) -> str:
    """An app with a secret, a volume and a machine that stays as it was made, a connection, a session, a sign-in."""
    sandbox.fly_clock(factor=0)
    fly(sandbox, http, "POST", "/apps", {"app_name": "shop", "org_slug": "sandbox", "network": "shop-net"})
    fly(sandbox, http, "POST", "/apps/shop/secrets", {"values": {"A": "not-a-secret"}})
    fly(sandbox, http, "POST", "/apps/shop/volumes", {"name": "app_data", "region": "iad", "size_gb": 1})
    made = fly(sandbox, http, "POST", "/apps/shop/machines", {"region": "iad", "config": CONFIG})
    sandbox.seed(integration="acme", connection_id="hers", tags={"end_user_id": "alice"})
    NangoClient(sandbox.nango_url, http).open_session(tags={"end_user_id": "alice"})
    github = GitHubClient(sandbox.github_url, http)
    github.exchange(github.code_for("dora", scope="read:user"))
    return str(made["id"])


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_the_next_process_knows_all_that_was_answered(restart: Restart, http: urllib3.PoolManager, kill: bool) -> None:  # noqa: FBT001
    sandbox = restart()
    make_all(sandbox, http)
    before = sandbox.state()
    assert all(before["fly"][kind] for kind in ("apps", "machines", "volumes", "secrets"))
    assert all(before["nango"][kind] for kind in ("connections", "sessions"))
    assert ("dora" in before["github"]["people"], len(before["github"]["tokens"])) == (True, 1)

    after = restart(kill=kill).state()

    # The address of the process is in them.
    before["nango"].pop("integrations")
    after["nango"].pop("integrations")
    assert after == before


def test_what_was_under_way_goes_on(restart: Restart, http: urllib3.PoolManager) -> None:
    made = make_all(restart(), http)
    sandbox = restart(kill=True)
    assert sandbox.state()["fly"]["machines"][made]["state"] == "created"
    sandbox.fly_clock(advance=60)
    assert sandbox.state()["fly"]["machines"][made]["state"] == "started"
    fly(sandbox, http, "POST", f"/apps/shop/machines/{made}/stop")
    sandbox = restart()
    sandbox.fly_clock(advance=60)
    assert sandbox.state()["fly"]["machines"][made]["state"] == "stopped"


def test_the_next_process_finds_connections_by_their_tags_and_gives_new_ids(
    restart: Restart, http: urllib3.PoolManager
) -> None:
    make_all(restart(), http)
    sandbox = restart()
    nango = NangoClient(sandbox.nango_url, http)
    found = nango("GET", "/connections?tags[end_user_id]=alice").json["connections"]
    assert [connection["connection_id"] for connection in found] == ["hers"]
    sandbox.seed(integration="acme", connection_id="another", tags={"end_user_id": "alice"})
    numbers = [connection["id"] for connection in nango("GET", "/connections").json["connections"]]
    assert len(set(numbers)) == 2


def test_a_reset_is_kept_too_and_orders_to_the_process_are_not(restart: Restart, http: urllib3.PoolManager) -> None:
    sandbox = restart()
    make_all(sandbox, http)
    sandbox.reset()
    sandbox.faults(target="nango", status=500, times=None)
    sandbox.settings(rate_limit_per_minute=1)
    sandbox = restart()
    assert sandbox.state()["fly"]["apps"] == {}
    assert sandbox.control("GET", "/faults") == {"faults": []}
    assert sandbox.settings()["rate_limit_per_minute"] == 200


def test_only_its_owner_reads_the_file_and_nothing_is_left_beside_it(
    restart: Restart, http: urllib3.PoolManager, file: Path
) -> None:
    make_all(restart(), http)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_a_killed_process_had_half_written_goes(restart: Restart, file: Path) -> None:
    file.with_name(f".{file.name}.killed").write_bytes(b"half")
    restart()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("damage", ["cut", "empty", "other fields", "no longer there", "another format"])
def test_what_cannot_be_read_is_put_aside_and_said(
    restart: Restart, http: urllib3.PoolManager, file: Path, damage: str
) -> None:
    sandbox = restart()
    make_all(sandbox, http)
    sandbox.stop()
    whole = file.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "other fields": whole.replace(b'"active_until"', b'"active_to"', 1),
        "no longer there": whole.replace(b"sandbox.fly.machine", b"sandbox.fly.machinf"),
        "another format": whole.replace(b"crayon sandbox, 1", b"crayon sandbox, 0", 1),
    }[damage]
    assert damaged != whole
    file.write_bytes(damaged)
    aside = file.with_name("sandbox.state.unreadable")

    sandbox = restart()

    assert sandbox.state()["fly"]["apps"] == {}
    assert aside.read_bytes() == damaged
    assert sandbox.next_line() == (
        f"What the sandbox knew can't be read by this version; it begins anew, and the file is now {aside}. Apps, "
        "machines and connections that the server still knows are not there any more. To begin both anew, stop, "
        f"delete {file.parent}, and start again."
    )


def test_a_place_that_cannot_be_written_to_ends_it_at_once(tmp_path: Path) -> None:
    process = SandboxProcess(environment={"SANDBOX_STATE": str(tmp_path / "nowhere" / "sandbox.state")})
    with pytest.raises(RuntimeError, match="did not start"):
        process.start()


def test_without_a_file_nothing_is_kept(http: urllib3.PoolManager) -> None:
    for _ in range(2):
        with SandboxProcess() as sandbox:
            assert sandbox.state()["nango"]["connections"] == {}
            sandbox.seed(integration="acme")
