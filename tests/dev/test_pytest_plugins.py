"""The project's own pytest plugins, run by a pytest of their own on a project of two files."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import psycopg
import pytest

from dev.postgres import remove_database
from dev.pytest_browser import _NEEDS
from dev.pytest_environment import CONTRACT_NANGO
from dev.pytest_order import nearness, shared_out

ROOT = Path(__file__).resolve().parents[2]
NOTHING_ON_PATH = {"PATH": "/nonexistent", "CHROMIUM": "/nonexistent/chromium", "NGINX": "/nonexistent/nginx"}
ORDER = """
import pytest

def test_plain(): pass

@pytest.mark.slow(5)
def test_five(): pass

@pytest.mark.slow(60)
def test_sixty(): pass
"""
ASKING = """
import pytest

@pytest.mark.needs_browser
def test_page(): pass

@pytest.mark.needs_node
def test_script(): pass

@pytest.mark.needs_node_packages
def test_package(): pass

@pytest.mark.needs_sshd
def test_login(): pass

@pytest.mark.needs_nginx
def test_proxy(): pass

def test_plain(): pass
"""
TELLING = """
import os
from pathlib import Path

def test_address(worker_id):
    with Path("addresses").open("a") as file:
        file.write(os.environ["DATABASE_URL"] + "\\n")
"""


@pytest.fixture
def project() -> Iterator[Path]:
    """A folder with a pytest project; the database's account can reach its state folder."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        folder = Path(above) / "project"
        folder.mkdir(mode=0o711)
        (folder / "pytest.ini").write_text(
            "[pytest]\nmarkers =" + "".join(f"\n  {marker}" for marker in [*_NEEDS, "slow(seconds)"])
        )
        yield folder
        for state in (folder / "state" / "test").glob("*"):
            remove_database(state)


def run_pytest(project: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:randomly", "-p", "no:cacheprovider", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project,
        env=kept
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")]), "DEV_STATE": str(project / "state")}
        | environment,
    )


def outcome(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def test_no_setting_of_the_person_reaches_a_test() -> None:
    mine = {
        **dict.fromkeys(("PORT", "WEB_THREADS", "SIGNUP_POLICY", "CREDENTIALS_CACHE_SECONDS", "HTTPS_PROXY"), "mine"),
        **dict.fromkeys(("REDIS_URL_FILE", "SECRET_KEY_FILE", "DATABASE_URL_FILE", "SECRET_KEY"), "mine"),
        **dict.fromkeys(("NANGO_SERVER_URL", "NANGO_SECRET_KEY", "DATABASE_URL"), "kept"),
    }
    script = "import dev.pytest_environment, json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=mine, capture_output=True, check=True)
    seen = json.loads(done.stdout)
    assert [name for name, value in seen.items() if value == "mine"] == []
    assert {name for name, value in seen.items() if value == "kept"} == {"DATABASE_URL", *CONTRACT_NANGO.values()}
    assert seen["SECRET_KEY"].startswith("not-a-secret")


def test_without_browser_node_openssh_and_nginx_their_tests_are_skipped_loudly(project: Path) -> None:
    (project / "test_asking.py").write_text(ASKING)
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_browser", **NOTHING_ON_PATH))
    assert status == 0, said
    assert "1 test DID NOT RUN: no Chromium was found" in said
    assert "1 test DID NOT RUN: no Node was found" in said
    assert "1 test DID NOT RUN: no Node with packages was found" in said
    assert "1 test DID NOT RUN: no OpenSSH was found" in said
    assert "1 test DID NOT RUN: no nginx was found" in said
    assert "1 passed, 5 skipped" in said


def test_under_ci_that_is_a_failure(project: Path) -> None:
    (project / "test_asking.py").write_text(ASKING)
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_browser", CI="true", **NOTHING_ON_PATH))
    assert status == 1, said
    assert "1 passed, 5 errors" in said
    assert "needs_browser: no Chromium was found" in said
    assert "needs_node_packages: no Node with packages was found" in said
    assert "needs_sshd: no OpenSSH was found" in said


@pytest.mark.slow(12)
def test_two_runs_at_once_have_a_database_each_and_leave_none(project: Path) -> None:
    (project / "test_telling.py").write_text(TELLING)
    plugin = ("-p", "dev.pytest_postgres", "-n", "1")
    runs = [run_pytest(project, *plugin), run_pytest(project, *plugin)]
    assert [outcome(run)[0] for run in runs] == [0, 0]
    addresses = (project / "addresses").read_text().split()
    assert len(set(addresses)) == len(addresses) == 2
    for address in addresses:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address)


def test_a_database_that_is_set_is_used(project: Path) -> None:
    (project / "test_telling.py").write_text(TELLING)
    address = "postgres://somebody@127.0.0.1:9/something"
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_postgres", "-n", "1", DATABASE_URL=address))
    assert status == 0, said
    assert (project / "addresses").read_text().split() == [address]
    assert not (project / "state").exists()


@pytest.mark.slow(11)
@pytest.mark.parametrize("empty", ["", " "])
def test_a_database_that_is_set_to_nothing_is_none(project: Path, empty: str) -> None:
    (project / "test_telling.py").write_text(TELLING)
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_postgres", "-n", "1", DATABASE_URL=empty))
    assert status == 0, said
    (address,) = (project / "addresses").read_text().split()
    assert address.startswith("postgres://")


@pytest.mark.slow(10)
def test_a_failed_collection_stops_the_database_too(project: Path) -> None:
    (project / "test_telling.py").write_text("import nowhere_to_be_found\n")
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_postgres"))
    assert status == 2, said
    assert not (project / "state" / "test" / "0" / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.slow(20)
def test_a_damaged_test_database_is_made_anew(project: Path) -> None:
    (project / "test_telling.py").write_text(TELLING)
    assert outcome(run_pytest(project, "-p", "dev.pytest_postgres", "-n", "1"))[0] == 0
    state = project / "state" / "test" / "0"
    (state / "postgres" / "data" / "global" / "pg_control").unlink()
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_postgres", "-n", "1"))
    assert status == 0, said


def order_of(project: Path, *words: str) -> list[str]:
    status, said = outcome(run_pytest(project, "-p", "dev.pytest_order", "-v", "-n", "0", *words))
    assert status == 0, said
    return re.findall(r"(test_\w+\.py::test_\w+) PASSED", said)


def test_what_takes_long_is_begun_first(project: Path) -> None:
    (project / "test_order.py").write_text(ORDER)
    assert order_of(project) == [f"test_order.py::test_{name}" for name in ("sixty", "five", "plain")]


def test_the_fast_ones_are_the_first_of_each_file_that_takes_no_time(project: Path) -> None:
    (project / "test_order.py").write_text(ORDER)
    (project / "test_long.py").write_text(ORDER.replace("def test_plain(): pass", ""))
    assert order_of(project, "--fast") == ["test_order.py::test_plain"]


def test_what_was_changed_comes_before_that(project: Path) -> None:
    (project / "test_order.py").write_text(ORDER)
    git(project, "init", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "--message=dev: Begin.")
    (project / "test_new.py").write_text("def test_new(): pass\n")
    assert order_of(project, "--changed")[:2] == ["test_new.py::test_new", "test_order.py::test_sixty"]


def test_two_work_for_each_core_unless_something_else_is_asked_for(project: Path) -> None:
    (project / "test_order.py").write_text(ORDER)
    twice = 2 * len(psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count())
    for asked, workers in ({}, twice), ({"PYTEST_XDIST_AUTO_NUM_WORKERS": "1"}, 1):
        status, said = outcome(run_pytest(project, "-p", "dev.pytest_order", "-v", "-n", "auto", **asked))
        assert status == 0, said
        assert f"{workers} worker" in said


def git(project: Path, *words: str) -> None:
    who = ("-c", "user.name=alice", "-c", "user.email=alice@example.com")
    subprocess.run(["git", *who, *words], cwd=project, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("changed", "near"),
    [
        ("tests/clouddev/services/test_retry.py", 0),
        ("clouddev/services/retry.py", 1),
        ("tests/clouddev/conftest.py", 1),
        ("clouddev/names.py", 2),
        ("deployments/services/retry.py", 3),
        ("tests/clouddev/test_regions.py", 3),
        ("README.md", 3),
    ],
)
def test_a_test_is_as_near_to_a_change_as_their_names_are(changed: str, near: int) -> None:
    assert nearness(PurePosixPath("tests/clouddev/services/test_retry.py"), PurePosixPath(changed)) == near


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_each_worker_begins_with_the_longest_of_its_share(workers: int) -> None:
    ordered: list[Any] = shared_out([*"ABCDE"], [*"vwxyz"], workers)
    assert sorted(ordered) == sorted("ABCDEvwxyz")
    # As pytest-xdist cuts them.
    left, starts = list(ordered), []
    for number in range(workers):
        starts.append(left[0])
        del left[: len(left) // (workers - number)]
    assert starts == [*"ABCD"[:workers]]
