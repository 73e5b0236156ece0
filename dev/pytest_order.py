"""A pytest plugin: which tests run, in which order, and how many at once.

Tests that take long say how many seconds (`@pytest.mark.slow(20)`) and come first: begun last, one would keep a worker
busy when the others have nothing left. With --changed, what belongs to the files that git calls changed comes before.
With --fast only the first test of each file runs, which is mostly the file's main promise, unless that takes long.
"""

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

_ELSEWHERE = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --changed and --fast."""
    parser.addoption(
        "--changed",
        action="store_true",
        help="run first the tests of what git calls changed since main, then all others",
    )
    parser.addoption("--fast", action="store_true", help="run only the first test of each file")


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Say what `-n auto` means: two for each core, since half of a test's time is waiting for another process.

    pytest-xdist's own answer would be one for each core; its environment variable still decides where it is set.
    """
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    # Not every system says which of its cores this process may use.
    return 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what --fast does, and put those that come first at the front of every worker's share."""
    if config.getoption("--fast"):
        left_out = sorted(set(items) - _first_of_each_file(items), key=lambda item: item.nodeid)
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)
    changed = changed_files(config.rootpath) if config.getoption("--changed") else []
    ranks = {item: (_nearness(config, item, changed), -_seconds(item)) for item in items}
    first = sorted((item for item in items if ranks[item] < (_ELSEWHERE, 0)), key=ranks.__getitem__)
    items[:] = shared_out(first, [item for item in items if item not in set(first)], _workers(config))


def shared_out(first: list[pytest.Item], rest: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return all items, as many for each worker one after another, as `--dist worksteal` cuts them."""
    ordered: list[pytest.Item] = []
    left, rest = len(first) + len(rest), list(rest)
    for number in range(workers):
        own = first[number::workers]
        share = left // (workers - number)
        left -= share
        others = max(share - len(own), 0)
        ordered += own + rest[:others]
        del rest[:others]
    return ordered + rest


def changed_files(root: Path) -> list[PurePosixPath]:
    """Return the files that differ from where this branch left main, new ones too, relative to the root."""
    base = _git(root, "merge-base", "HEAD", "main") or ["HEAD"]
    named = _git(root, "diff", "--name-only", *base) + _git(root, "ls-files", "--others", "--exclude-standard")
    return [PurePosixPath(name) for name in named]


def nearness(test: PurePosixPath, changed: PurePosixPath) -> int:
    """Say how likely a test file is about a changed one: it is that (0), its name says so (1), its folder does (2)."""
    if test == changed:
        return 0
    if changed.parts[0] == "tests":
        return 1 if test.is_relative_to(changed.parent) and not changed.name.startswith("test_") else _ELSEWHERE
    if not test.is_relative_to(PurePosixPath("tests", changed.parts[0])):
        return _ELSEWHERE
    return 1 if changed.stem in test.stem else 2


def _nearness(config: pytest.Config, item: pytest.Item, changed: list[PurePosixPath]) -> int:
    test = PurePosixPath(item.path.relative_to(config.rootpath).as_posix())
    return min((nearness(test, each) for each in changed), default=_ELSEWHERE)


def _first_of_each_file(items: list[pytest.Item]) -> set[pytest.Item]:
    first: dict[Path, pytest.Item] = {}
    # Where a function has several cases, the same one each time, however they were shuffled.
    for item in sorted(items, key=lambda item: (item.location[1] or 0, item.nodeid)):
        if not _seconds(item):
            first.setdefault(item.path, item)
    return set(first.values())


def _seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("slow")
    return float(marker.args[0]) if marker else 0


def _workers(config: pytest.Config) -> int:
    return int(getattr(config, "workerinput", {}).get("workercount", 1))


def _git(root: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []
