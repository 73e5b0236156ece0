"""Everything a newcomer does, in one go, on a fresh `make dev`: from the first login to an empty list."""

import base64
import gzip
import io
import json
import signal
import sys
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import psycopg
import pytest
import requests

from tests.clouddev.ssh_server import SSHServer, private_file
from tests.dev.dev_process import Dev, RunDev, database_of
from tests.dev.newcomer import Browser, CommandLine

pytestmark = [pytest.mark.timeout(300), pytest.mark.needs_sshd]
COMMIT = "4f2a91c0d7e8b6a54f2a91c0d7e8b6a54f2a91c0"
FILES = {
    "Dockerfile": "FROM node:22-alpine\nWORKDIR /app\nCOPY . .\nRUN npm install\nEXPOSE 3000\nCMD node server.js\n",
    "package.json": '{"name": "shop", "private": true, "scripts": {"start": "node server.js"}}\n',
    "server.js": "require('node:http').createServer((_, answer) => answer.end('hello')).listen(3000)\n",
    "public/index.html": "<!doctype html><title>shop</title><h1>hello</h1>\n",
}
STUDIO = {"appName": "studio"}


@pytest.mark.slow(60)
def test_a_newcomer_deploys_an_app_and_works_on_a_machine(run: RunDev, state: Path, tmp_path: Path) -> None:
    dev = run()
    dev.wait_until_up()
    cli = CommandLine(dev.url)
    cli.log_in(Browser(), "alice")
    shop = deploy_an_app(cli, tmp_path / "shop")

    for question in ("POST /v1/apps", "POST */secrets"):
        make_fly_slow(dev, question)
    created = cli.post("cloud-dev/create", **STUDIO)
    name = created["flyAppName"]
    assert cli.poll("cloud-dev/status", "studio", "running")["url"] == created["appUrl"]
    assert len(set(cli.steps) - {"Waiting for a worker…"}) >= 2, cli.steps
    schema = name.replace("-", "_")
    assert workspaces_in_the_data_database(state) == {"roles": [schema], "databases": [schema]}
    (listed,) = cli.get("cloud-dev/list")
    assert (listed["fly_app_name"], listed["app_url"], listed["fly_state"]) == (name, created["appUrl"], "started")
    check_keys(cli, dev, created, tmp_path)
    share_and_take_back(cli, dev)

    dev = killed_and_started_again(run, dev)
    assert cli.poll("cloud-dev/status", "studio", "running")["url"] == created["appUrl"]
    assert cli.get("deploy/status", appName="shop")["status"] == "running"
    assert f"Commit: <code>{COMMIT}</code>" in requests.get(shop, timeout=20).text

    assert cli.post("cloud-dev/stop", **STUDIO) == {"status": "stopped"}
    cli.poll("cloud-dev/status", "studio", "stopped")
    assert cli.post("cloud-dev/start", **STUDIO) == {"status": "starting", "started": 1}
    cli.poll("cloud-dev/status", "studio", "running")

    assert name in json.dumps(held_by_fly(dev))
    assert cli.post("cloud-dev/destroy", **STUDIO) == {"status": "destroyed"}
    cli.poll("cloud-dev/status", "studio", "not_found")
    assert cli.get("cloud-dev/list") == []
    assert name not in json.dumps(held_by_fly(dev))
    assert workspaces_in_the_data_database(state) == {"roles": [], "databases": []}
    assert dev.stop(signal.SIGTERM)[0] == 0
    assert dev.processes() == {}


def deploy_an_app(cli: CommandLine, folder: Path) -> str:
    """Its archive goes in, and its address, which is given, says that this commit runs."""
    url: str = cli.post("deploy/prepare", appName="shop")["appUrl"]
    pushed = cli.post("deploy/push", appName="shop", archive=archive_of(folder), commitHash=COMMIT)
    assert pushed["status"] == "deploying"
    told = cli.poll("deploy/status", "shop", "running")
    assert (told["url"], told["commit"]) == (url, COMMIT)
    assert "npm install" in cli.get("deploy/logs", appName="shop")["buildLog"]
    assert cli.get("deploy/builds", appName="shop")[0]["id"] == pushed["buildId"]
    assert f"Commit: <code>{COMMIT}</code>" in requests.get(url, timeout=20).text
    return url


def killed_and_started_again(run: RunDev, dev: Dev) -> Dev:
    """The same on the same ports, after a day on which the laptop's battery was empty."""
    dev.stop(signal.SIGKILL)
    if sys.platform == "linux":  # which tells children of their parent's end
        dev.wait_until_gone()
    again = run(PORT=str(dev.port), SANDBOX_PORT=str(dev.sandbox_port))
    again.wait_until_up()
    return again


def archive_of(folder: Path) -> str:
    """The folder written to disk, packed as the CLI packs it."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(folder, arcname=".")
    return base64.b64encode(gzip.compress(out.getvalue())).decode()


def check_keys(cli: CommandLine, dev: Dev, created: dict[str, str], folder: Path) -> None:
    """What opens the machine fits what the machine was given."""
    given = held_by_fly(dev)["secrets"][created["flyAppName"]]
    assert given["DATABASE_URL"].startswith("postgres")
    key = cli.get("cloud-dev/ssh-key", **STUDIO)
    assert (key["privateKey"], key["linuxUser"]) == (created["sshPrivateKey"], given["DEV_USER"])
    with SSHServer(folder, given["SSH_PUBLIC_KEY"]) as machine:
        told = machine.run(private_file(folder / "key", key["privateKey"]), "echo inside")
    assert (told.returncode, told.stdout) == (0, "inside\n"), told.stderr

    public = given["DEV_UI_JWT_PUBLIC_KEY"].replace("\\n", "\n")
    for use, token in {
        "mcp": cli.get("cloud-dev/mcp-token", **STUDIO)["token"],
        "webhook": cli.post("cloud-dev/webhook-token", **STUDIO, expiresIn="7d")["token"],
    }.items():
        claims = jwt.decode(token, public, algorithms=["EdDSA"])
        assert (claims["app"], claims["login"], claims["use"]) == (created["flyAppName"], given["DEV_USER"], use)


def share_and_take_back(cli: CommandLine, dev: Dev) -> None:
    """bob is let in once he has signed in and agreed, and shut out again."""
    theirs = CommandLine(dev.url)
    theirs.log_in(Browser(), "bob")
    assert theirs.get("cloud-dev/list") == []
    offered = cli.post("cloud-dev/members", **STUDIO, login="bob")
    assert theirs.get("cloud-dev/list") == []
    assert [one["id"] for one in theirs.get("cloud-dev/offers")] == [offered["offerId"]]
    theirs.post(f"cloud-dev/offers/{offered['offerId']}/accept")
    assert [one["role"] for one in theirs.get("cloud-dev/list")] == ["member"]
    assert "token" in theirs.get("cloud-dev/mcp-token", **STUDIO)
    cli.delete("cloud-dev/members", **STUDIO, login="bob")
    assert theirs.get("cloud-dev/list") == []


def make_fly_slow(dev: Dev, question: str) -> None:
    """Let it take its time over an answer, as the real one does, so that a step can be read."""
    fault = {"target": "fly", "match": question, "delay": 1.5}
    requests.post(f"http://127.0.0.1:{dev.sandbox_port}/_sandbox/faults", json=fault, timeout=20).raise_for_status()


def held_by_fly(dev: Dev) -> dict[str, Any]:
    held: dict[str, Any] = requests.get(f"http://127.0.0.1:{dev.sandbox_port}/_sandbox/state", timeout=20).json()["fly"]
    return held


def workspaces_in_the_data_database(state: Path) -> dict[str, list[str]]:
    """The roles and databases of machines, seen by the cluster's superuser."""
    url = urlsplit(database_of(state))._replace(path="/crayon_data").geturl()
    with psycopg.connect(url) as connection:
        roles = connection.execute(
            r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'crayon\_dev\_%' ORDER BY 1"
        ).fetchall()
        own = connection.execute(
            r"SELECT datname FROM pg_database WHERE datname LIKE 'crayon\_dev\_%' ORDER BY 1"
        ).fetchall()
        # Of the others of the cluster, the server's own first of all, nobody may use any.
        others = connection.execute(
            "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT')"
        ).fetchall()
    assert others == []
    return {"roles": [role for (role,) in roles], "databases": [database for (database,) in own]}
