"""An operator at a browser who destroys, suspends, revokes and transfers: asked first, by name, in red."""

import pytest
from playwright.sync_api import expect

from clouddev.models import Machine
from tests.accounts.threads import at_once
from tests.clouddev.builders import make_machine
from tests.conftest import make_person
from tests.operators import PASSWORD, make_operator

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
MACHINES, PEOPLE = "/admin/clouddev/machine/", "/admin/accounts/user/"


@pytest.fixture
def keys(server):
    """Who and what there is: alice with two machines, bob with one."""

    def make():
        make_operator(password=PASSWORD)
        alice, bob = make_person("alice"), make_person("bob")
        machines = [make_machine(alice, "studio"), make_machine(alice, "atelier"), make_machine(bob, "blog")]
        return {"alice": alice.pk, **{machine.app_name: machine.pk for machine in machines}}

    return at_once(make)[0]


@pytest.fixture
def operator(server, person, keys):
    one = person()
    one.page.goto(f"{server.url}/admin/")
    one.page.get_by_label("Username").fill("operator")
    one.page.get_by_label("Password").fill(PASSWORD)
    one.page.get_by_label("Password").press("Enter")
    expect(one.page.get_by_text("Builds by day")).to_be_visible()
    return one


def destroying():
    found = at_once(lambda: list(Machine.objects.filter(state="destroying").values_list("app_name", flat=True)))[0]
    return sorted(found)


def fits(page):
    page.set_viewport_size({"width": 375, "height": 740})
    box = page.locator("#dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 375
    page.set_viewport_size({"width": 1100, "height": 800})


def test_a_machine_is_destroyed_by_a_dialog_in_which_its_name_is_typed(server, operator, keys):
    page = operator.page
    page.goto(f"{server.url}{MACHINES}{keys['studio']}/change/")
    page.get_by_role("link", name="Destroy").first.click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading")).to_contain_text("Destroy the workspace studio of alice")
    fits(page)
    operator.shoot("operators-1-destroy")
    dialog.get_by_label("Type “studio”").fill("blog")
    dialog.get_by_role("button", name="Destroy").click()
    expect(dialog).to_contain_text("That is not “studio”. Nothing was done.")
    operator.shoot("operators-2-wrong-name")
    assert destroying() == []
    dialog.get_by_label("Type “studio”").fill("studio")
    dialog.get_by_role("button", name="Destroy").click()
    expect(page.get_by_text("studio is being destroyed.")).to_be_visible()
    assert destroying() == ["studio"]


def test_selected_machines_are_destroyed_by_a_page_that_names_them(server, operator, keys):
    page = operator.page
    page.goto(f"{server.url}{MACHINES}?q=alice")
    for name in ("studio", "atelier"):
        page.locator(f"input[name=_selected_action][value='{keys[name]}']").check()
    page.locator("select[name=action]").select_option("destroy_selected")
    page.get_by_role("button", name="Run").click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("listitem")).to_contain_text(["the workspace", "the workspace"])
    fits(page)
    operator.shoot("operators-3-destroy-selected")
    dialog.get_by_label("Type “destroy 2”").fill("destroy 2")
    dialog.get_by_role("button", name="Destroy").click()
    expect(page.get_by_text("studio is being destroyed.")).to_be_visible()
    assert destroying() == ["atelier", "studio"]


def test_transferring_and_suspending_ask_in_a_dialog_that_cancels(server, operator, keys):
    page = operator.page
    for path, button, question in (
        (f"{MACHINES}{keys['studio']}/change/", "Transfer", "Transfer the workspace studio of alice"),
        (f"{PEOPLE}{keys['alice']}/change/", "Suspend", "Suspend Alice (alice, alice@example.com)?"),
    ):
        page.set_viewport_size({"width": 1100, "height": 800})
        page.goto(f"{server.url}{path}")
        page.get_by_role("link", name=button).first.click()
        expect(page.locator("#dialog").get_by_role("heading")).to_contain_text(question)
        fits(page)
        operator.shoot(f"operators-4-{button.lower()}")
        page.locator("#dialog").get_by_role("link", name="Cancel").click()
        expect(page.locator("#dialog")).to_be_hidden()
        assert page.url == f"{server.url}{path}"
