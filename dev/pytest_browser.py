"""A pytest plugin: what happens to tests that need a browser, Node, OpenSSH or nginx where there is none.

On a person's machine they are skipped, and the summary says so in red. With CI=true they fail:
a run that proves less than it should must not look like one that proves everything.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.programs import chromium_path, nginx_path, node_packages, node_path, sshd_path

_NEEDS: dict[str, tuple[Callable[[], Path | None], str]] = {
    "needs_browser": (
        chromium_path,
        "no Chromium was found (chromium or google-chrome on PATH, or CHROMIUM=<path>)",
    ),
    "needs_node": (node_path, "no Node was found (node on PATH)"),
    "needs_node_packages": (
        node_packages,
        "no Node with packages was found (node and npm on PATH, by which make test fetches them)",
    ),
    "needs_sshd": (sshd_path, "no OpenSSH was found (ssh and ssh-keygen on PATH, sshd there or in /usr/sbin)"),
    "needs_nginx": (nginx_path, "no nginx was found (nginx on PATH or in /usr/sbin, or NGINX=<path>)"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the test, or fail it under CI, when what its marker asks for is missing."""
    for marker, (find, missing) in _NEEDS.items():
        if item.get_closest_marker(marker) is None or find() is not None:
            continue
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{marker}: {missing}; with CI=true that is a failure.", pytrace=False)
        pytest.skip(f"{marker}: {missing}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests did not run for want of a program."""
    reasons = [
        report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)
    ]
    for marker, (_, missing) in _NEEDS.items():
        count = sum(f"{marker}: " in reason for reason in reasons)
        if count:
            terminalreporter.write_sep(
                "!", f"{count} test{'s' if count > 1 else ''} DID NOT RUN: {missing}", red=True, bold=True
            )
