"""Somebody watches in a browser how a worker makes their machine, opens it, and has it destroyed."""

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.conf import settings
from playwright.sync_api import expect

from clouddev.clients.data_database import DataDatabase
from tests.clouddev.data_databases import data_database
from tests.gunicorn_process import GunicornProcess
from tests.job_worker_process import Ground

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
# A worker starts and works meanwhile; on a machine that has other things to do, too.
PATIENCE = 60_000
# The page asks every two seconds while something is under way.
LONGER_THAN_THE_PAGE_WAITS = 2.5
WAITING = "Waiting for a worker…"
WATCH = """() => {
  const sentence = document.querySelector(".workspace [data-news=sentence]");
  const note = () => noteShown(sentence.textContent);
  new MutationObserver(note).observe(sentence, { childList: true });
}"""


@pytest.fixture(scope="module")
def data_url():
    with data_database() as url:
        yield url


@pytest.fixture(scope="module")
def ground(django_db_setup, sandbox_of_worker, data_url, tmp_path_factory):
    ground = Ground(sandbox_of_worker, tmp_path_factory.mktemp("ground"))
    ground.environment |= {"DATABASE_DATA_URL": data_url, "FLY_REGION": "iad"}
    ground.environment["DEV_UI_JWT_PRIVATE_KEY"] = settings.DEV_UI_JWT_PRIVATE_KEY
    return ground


@pytest.fixture(scope="module")
def running_server(ground, sandbox_of_worker):
    """A server that can make machines."""
    names = ("DATABASE_DATA_URL", "DEV_UI_JWT_PRIVATE_KEY", "FLY_REGION")
    environment = {name: ground.environment[name] for name in names}
    with GunicornProcess(sandbox=sandbox_of_worker, environment=environment) as server:
        yield server


def create(server, token):
    """Ask for the machine "studio", as a tool does; gives its name at Fly."""
    answer = server.request("POST", "/api/cloud-dev/create", token=token, json={"appName": "studio"})
    assert answer.status == 200, answer.data
    return answer.json()["data"]["flyAppName"]


def watch(page):
    """Each sentence that the card shows from now on; a page that is loaded anew adds none."""
    shown = []
    # Playwright can't take `shown.append` itself.
    page.expose_function("noteShown", lambda *seen: shown.extend(seen))
    page.evaluate(WATCH)
    return shown


def open_it(page, card):
    """Follow the card's link; gives the address that the browser comes to."""
    with page.expect_request(lambda request: "/dev/__auth/callback" in request.url) as asked:
        card.get_by_role("link", name="Open studio").click()
    return urlsplit(asked.value.url)


@pytest.mark.slow(17)
def test_a_person_watches_their_machine_being_made_opens_it_and_destroys_it(
    server, sandbox, person, tool, start_worker, data_url
):
    alice = person()
    fly_name = create(server, alice.log_in(tool()))
    page = alice.page
    page.goto(f"{server.url}/workspaces/")
    card = page.locator(".workspace")
    expect(card.get_by_role("heading")).to_have_text("studio")
    expect(card.locator("[data-news=sentence]")).to_have_text(WAITING)

    for question in ("POST /v1/apps", "POST */secrets"):
        sandbox.faults(target="fly", match=question, delay=LONGER_THAN_THE_PAGE_WAITS)
    shown = watch(page)
    start_worker()
    expect(card.locator(".badge")).to_have_text("Running", timeout=PATIENCE)
    steps = [sentence for sentence in shown if sentence.endswith("…")]
    assert len(set(steps) - {WAITING}) >= 2, shown
    alice.shoot("having-1-running")

    secrets = sandbox.state()["fly"]["secrets"][fly_name]
    address = open_it(page, card)
    assert address.path.endswith(f"/apps/{fly_name}/dev/__auth/callback")
    (token,) = parse_qs(address.query)["token"]
    public = secrets["DEV_UI_JWT_PUBLIC_KEY"].replace("\\n", "\n")
    claims = jwt.decode(token, public, algorithms=["EdDSA"])
    assert (claims["app"], claims["login"], claims["use"]) == (fly_name, "alice", "dev-ui")

    page.goto(f"{server.url}/workspaces/")
    card.get_by_text("Destroy…").click()
    card.get_by_label("Type studio to confirm").fill("studio")
    card.get_by_role("button", name="Destroy", exact=True).click()
    expect(page.get_by_text("studio is being destroyed.")).to_be_visible()
    expect(page.get_by_text("You have no workspace yet")).to_be_visible(timeout=PATIENCE)
    expect(card).to_have_count(0)
    fly = sandbox.state()["fly"]
    assert {kind: fly[kind] for kind in ("apps", "machines", "volumes", "ips", "secrets") if fly[kind]} == {}
    assert DataDatabase(url=data_url).list_names() == []
