"""A person at a browser, and a tool in a terminal, before the running server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dev.programs import chromium_path
from tests.accounts.threads import at_once
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground, WorkerProcess
from tests.sandbox_process import SandboxProcess

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Playwright's own are five seconds: little for a page that asks every two, on a machine that has much else to do.
expect.set_options(timeout=20_000)
_LOOKS: dict[str, dict[str, Any]] = {
    "light": {"scheme": "light", "size": {"width": 1100, "height": 800}},
    "dark": {"scheme": "dark", "size": {"width": 1100, "height": 800}},
    "phone": {"scheme": "light", "size": {"width": 375, "height": 740}},
    "phone-dark": {"scheme": "dark", "size": {"width": 375, "height": 740}},
}


class Tool:
    """A command-line tool that logs in as the contract says."""

    def __init__(self, server: GunicornProcess, **described: str) -> None:
        self.server = server
        started = server.request("POST", "/api/auth/cli/session", json=described).json()["data"]
        self.code, self.secret = started["code"], started["secret"]
        self.link = f"{server.url}/auth/cli?cli_code={self.code}"

    def poll(self) -> dict[str, str]:
        answer = self.server.request("GET", f"/api/auth/cli/check?code={self.code}&secret={self.secret}")
        assert answer.status == 200, answer.data
        data: dict[str, str] = answer.json()["data"]
        return data


class Person:
    """Somebody at a browser. What the browser's console complains of is kept in `complaints`."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(20_000)

    def _note(self, message: Any) -> None:
        # A page with a status of 4xx is noted by the browser as a failed resource; that is no complaint.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def sign_in_at_github(self, login: str) -> None:
        self.page.get_by_role("button", name="Sign in with GitHub").click()
        self.page.get_by_role("button", name=login, exact=True).click()

    def log_in(self, tool: Tool) -> str:
        """Approve the tool, as alice; gives its token."""
        self.page.goto(tool.link)
        self.sign_in_at_github("alice")
        self.page.get_by_role("button", name="Approve").click()
        self.reads("Authorized!")
        return tool.poll()["token"]

    def reads(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    def shoot(self, name: str) -> None:
        """Keep pictures of the page, in each look, when SCREENSHOTS names a folder."""
        folder = os.environ.get("SCREENSHOTS")
        if not folder:
            return
        for look, options in _LOOKS.items():
            self.page.emulate_media(color_scheme=options["scheme"])
            self.page.set_viewport_size(options["size"])
            self.page.screenshot(path=Path(folder) / f"{name}.{look}.png", full_page=True)


@pytest.fixture
def chromium(server: GunicornProcess) -> Iterator[Browser]:
    # Playwright's event loop lives in this thread: who wants the database does so in another one.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Callable[..., Person]]:
    """A person with a browser of their own; afterwards no page has broken its own content policy."""
    people: list[Person] = []

    def arrive(**options: Any) -> Person:
        people.append(Person(chromium.new_context(**options)))
        return people[-1]

    yield arrive
    assert [complaint for one in people for complaint in one.complaints] == []


@pytest.fixture
def tool(server: GunicornProcess) -> Callable[..., Tool]:
    """A tool that has just started a login."""
    return lambda **described: Tool(server, **{"clientName": "crayon CLI", "hostname": "laptop", **described})


@pytest.fixture
def start_worker(server: GunicornProcess, sandbox: SandboxProcess, ground: Ground) -> Iterator[Callable[[], None]]:
    """Starts a worker on the module's `ground` that finds no jobs of earlier tests; Fly's machines hurry."""
    at_once(_forget_jobs)  # in a thread of its own, since this one belongs to the browser's event loop
    sandbox.fly_clock(factor=1_000_000)
    started: list[WorkerProcess] = []
    yield lambda: started.append(WorkerProcess(ground))
    for worker in started:
        worker.kill()


def _forget_jobs() -> None:
    """Empty what Django leaves between tests, since the tables are procrastinate's."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers CASCADE")
