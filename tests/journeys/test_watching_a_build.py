"""Somebody pushes from a terminal and watches in a browser how a worker builds it, until the app answers."""

import pytest
from playwright.sync_api import expect

from tests.deployments.worker_harness import archive_of
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
COMMIT = "4f2a91c0d7e8"
MARKER = "this-is-the-build-of-shop"
# A worker starts, builds and asks the app meanwhile; on a machine that has other things to do, too.
PATIENCE = 60_000
WATCH = """() => {
  const [word, step, log] = ["badge", "step", "log"].map((id) => document.getElementById(id));
  const note = () => noteShown(word.textContent, step.textContent, log.textContent.length);
  const observer = new MutationObserver(note);
  [word, step, log].forEach((shown) => observer.observe(shown, { childList: true }));
}"""


@pytest.fixture(scope="module")
def ground(django_db_setup, sandbox_of_worker, tmp_path_factory):
    return Ground(sandbox_of_worker, tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="module")
def running_server(ground, sandbox_of_worker):
    """A server that stores archives where the worker finds them."""
    with GunicornProcess(sandbox=sandbox_of_worker, environment={"STORAGE_FOLDER": str(ground.storage)}) as server:
        yield server


def push(server, token, archive):
    """Prepare the app "shop" and push to it, as a tool does; gives the address of the app."""
    prepared = server.request("POST", "/api/deploy/prepare", token=token, json={"appName": "shop"})
    assert prepared.status == 200, prepared.data
    pushed = server.request(
        "POST",
        f"/api/deploy/push?appName=shop&commitHash={COMMIT}",
        token=token,
        body=archive,
        headers={"Content-Type": "application/gzip"},
    )
    assert pushed.status == 200, pushed.data
    status = server.request("GET", "/api/deploy/status?appName=shop", token=token).json()["data"]
    assert status["status"] == "queued"
    return status["url"]


def watch(page):
    """Each word, step and length of the log that the page shows from now on; a page that is loaded anew adds none."""
    shown = []
    page.expose_function("noteShown", lambda *seen: shown.append(seen))
    page.evaluate(WATCH)
    return shown


@pytest.mark.slow(16)
def test_a_person_watches_a_push_become_an_app_that_answers(server, person, tool, start_worker):
    alice = person()
    url = push(server, alice.log_in(tool()), archive_of(MARKER, "sleep 3", "sleep 3"))
    page = alice.page
    page.goto(f"{server.url}/deployments/")
    page.get_by_role("link", name="shop", exact=True).click()
    alice.reads("shop")
    page.get_by_role("link", name="build").first.click()
    expect(page.locator("#badge")).to_have_text("Queued")
    expect(page.locator("#step")).to_have_text("Waiting for a worker…")
    alice.shoot("watching-1-queued")

    shown = watch(page)
    start_worker()
    expect(page.locator("#badge")).to_have_text("Building", timeout=PATIENCE)
    expect(page.locator("#log")).to_contain_text(MARKER, timeout=PATIENCE)
    expect(page.locator("#milestones")).to_contain_text("Taken by a worker")
    alice.shoot("watching-2-building")
    expect(page.locator("#badge")).to_have_text("Live", timeout=PATIENCE)
    steps = {step for word, step, _ in shown if word == "Building"}
    assert len(steps) > 1, shown
    assert any(step.startswith("Building step ") for step in steps), shown
    lengths = [length for _, _, length in shown]
    assert lengths == sorted(lengths)
    assert len(set(lengths) - {0}) > 1, "the log grew before it was whole"

    log = page.locator("#log").text_content() or ""
    assert log.count(f" {MARKER}\n") == 2, "once as the command, once as what it prints"
    assert f"The app answers at {url}" in log
    expect(page.locator("dl")).to_contain_text(COMMIT)
    expect(page.get_by_role("button", name="Cancel this build")).to_have_count(0)
    alice.shoot("watching-3-live")

    page.get_by_role("link", name=url).click()
    expect(page.locator("body")).to_contain_text(f"Commit: {COMMIT}")
    page.goto(f"{server.url}/deployments/")
    expect(page.locator("main")).to_contain_text("Live")
    page.get_by_role("link", name="shop", exact=True).click()
    alice.shoot("watching-4-app")
