"""The smallest project, which a machine gets where no scaffold command is set."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import urllib3

from tests.clouddev.image.booted_machine import IMAGE

pytestmark = pytest.mark.needs_node
_STARTER = IMAGE / "starter"


@pytest.fixture
def started() -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {"PATH": os.environ["PATH"], "DEV_HOST": "127.0.0.1", "DEV_PORT": "0", "APP_NAME": "shop"}
    node = shutil.which("node") or "node"
    with subprocess.Popen(
        [node, "server.js"], cwd=_STARTER, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().removeprefix("Listening on ").strip(" .\n")
        yield process, f"http://127.0.0.1:{port}"
        process.kill()


def test_it_says_that_it_is_well(started: tuple[subprocess.Popen[str], str]) -> None:
    answer = urllib3.request("GET", f"{started[1]}/dev/__health", timeout=10, retries=False)
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_it_says_whose_it_is_and_where_its_code_lies(started: tuple[subprocess.Popen[str], str]) -> None:
    answer = urllib3.request("GET", started[1], timeout=10, retries=False)
    assert (answer.status, answer.data) == (200, b"shop is running. Its code is in /data/app.\n")


def test_it_has_no_other_page(started: tuple[subprocess.Popen[str], str]) -> None:
    assert urllib3.request("GET", f"{started[1]}/.env", timeout=10, retries=False).status == 404


def test_it_ends_when_told_to(started: tuple[subprocess.Popen[str], str]) -> None:
    process, url = started
    urllib3.PoolManager(retries=False).request("GET", url, timeout=10)
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_npm_run_dev_starts_it_on_the_port_that_the_machine_shows() -> None:
    scripts = json.loads((_STARTER / "package.json").read_text())["scripts"]
    assert scripts == {"dev": "node --watch server.js"}
    assert "process.env.DEV_PORT ?? 4173" in (_STARTER / "server.js").read_text()
