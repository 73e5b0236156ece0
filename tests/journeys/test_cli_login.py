"""The CLI asks, the browser approves, the CLI polls, the CLI calls."""

import pytest
from playwright.sync_api import expect

from accounts.models import User
from accounts.services import users
from tests.accounts.threads import at_once

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
QUESTION = "Does your terminal show this code?"


def approve(someone, tool, login="alice"):
    someone.page.goto(tool.link)
    someone.sign_in_at_github(login)
    someone.page.get_by_role("button", name="Approve").click()
    someone.reads("Authorized!")
    return tool.poll()["token"]


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_person_approves_and_the_tool_can_call(server, person, tool, script):
    alice, cli = person(java_script_enabled=script), tool()
    assert cli.poll() == {"status": "pending"}

    alice.page.goto(cli.link)
    alice.reads("Sign in to answer your terminal")
    alice.shoot("1-sign-in")
    alice.sign_in_at_github("alice")
    alice.reads(QUESTION)
    expect(alice.page.locator(".code")).to_have_text(cli.code)
    expect(alice.page.locator("dl")).to_contain_text("crayon CLI")
    expect(alice.page.locator("dl")).to_contain_text("alice (alice@example.com)")
    alice.shoot("2-question")
    assert cli.poll() == {"status": "pending"}

    alice.page.get_by_role("button", name="Approve").click()
    alice.reads("Authorized!")
    expect(alice.page.locator("main")).to_contain_text("You can close this window and return to your terminal.")
    alice.shoot("3-authorized")
    answer = cli.poll()
    assert answer["status"] == "approved"
    assert server.request("GET", "/api/integrations", token=answer["token"]).status == 200
    assert server.request("POST", "/api/auth/logout", token=answer["token"]).status == 200
    assert server.request("GET", "/api/integrations", token=answer["token"]).status == 401


def test_a_person_denies_and_the_tool_learns_it(person, tool):
    alice, cli = person(), tool()
    alice.page.goto(cli.link)
    alice.sign_in_at_github("alice")
    alice.page.get_by_role("button", name="Deny").click()
    alice.reads("Denied")
    alice.shoot("4-denied")
    assert cli.poll() == {"status": "denied"}
    alice.page.goto(cli.link)
    alice.reads("This login was denied already")
    alice.shoot("5-denied-already")


def test_the_keyboard_alone_is_enough(person, tool):
    alice, cli = person(), tool()
    alice.page.goto(cli.link)
    _tab_to(alice.page, "Sign in with GitHub")
    alice.page.keyboard.press("Enter")
    alice.reads("Who signs in?")
    _tab_to(alice.page, "alice")
    alice.page.keyboard.press("Enter")
    alice.reads(QUESTION)
    _tab_to(alice.page, "Approve")
    outline = alice.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    alice.shoot("6-focus")
    alice.page.keyboard.press("Space")
    alice.reads("Authorized!")
    assert outline == "solid"
    assert cli.poll()["status"] == "approved"


def _tab_to(page, name):
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    pytest.fail(f"the keyboard does not reach {name}")


def test_who_is_signed_in_already_is_asked_at_once_and_only_once(person, tool):
    alice, first, second = person(), tool(), tool(hostname="build-7")
    approve(alice, first)
    alice.page.goto(second.link)
    alice.reads(QUESTION)
    assert second.poll() == {"status": "pending"}
    alice.page.goto(first.link)
    alice.reads("This login was approved already")
    alice.shoot("7-approved-already")


def test_a_person_sees_and_ends_their_own_apps_only(server, person, tool):
    alice, charlie = person(), person()
    token = approve(alice, tool(hostname="alices-laptop"))
    approve(charlie, tool(hostname="charlies-laptop"), login="charlie")

    charlie.page.goto(f"{server.url}/account/apps")
    expect(charlie.page.locator("main")).to_contain_text("charlies-laptop")
    expect(charlie.page.locator("main")).not_to_contain_text("alices-laptop")

    alice.page.goto(f"{server.url}/account/apps")
    alice.shoot("8-apps")
    alice.page.get_by_role("button", name="Sign out crayon CLI on alices-laptop").click()
    expect(alice.page.get_by_role("status")).to_have_text("crayon CLI on alices-laptop is signed out.")
    alice.shoot("9-app-signed-out")
    assert server.request("GET", "/api/integrations", token=token).status == 401
    alice.page.get_by_text("Sign out everywhere…").click()
    expect(alice.page.get_by_text("Sign out this browser? You sign in anew then.")).to_be_visible()
    alice.page.get_by_role("button", name="Sign out everywhere").click()
    alice.reads("Sign in")
    alice.shoot("10-signed-out-everywhere")


def test_a_sign_in_that_failed_or_is_loaded_again_begins_anew_and_comes_back_to_the_question(server, person, tool):
    alice, cli = person(), tool()
    alice.page.goto(cli.link)
    alice.page.get_by_role("button", name="Sign in with GitHub").click()
    alice.page.get_by_role("button", name="Cancel").click()
    alice.reads("Sign-in failed")
    alice.page.reload()
    alice.reads("Sign-in failed")
    alice.shoot("19-sign-in-again")
    callback = alice.page.url
    alice.page.get_by_role("link", name="Sign in again").click()
    alice.reads("Sign in")
    alice.sign_in_at_github("alice")
    alice.reads(QUESTION)
    # With its state another one came back since: somebody signed in goes on, and a stranger is told to begin.
    alice.page.goto(callback)
    alice.reads("Workspaces")
    alice.page.get_by_role("button", name="Sign out").click()
    alice.reads("Sign in")
    alice.page.goto(callback)
    alice.reads("Sign-in failed")
    alice.page.get_by_role("link", name="Sign in again").click()
    alice.sign_in_at_github("alice")
    alice.reads("Workspaces")


def test_every_other_state_has_its_own_page(server, sandbox, person, tool):
    alice = person()
    approve(alice, tool())
    alice.page.goto(f"{server.url}/auth/cli")
    alice.reads("There is no code in this link")
    alice.shoot("11-no-code")
    alice.page.goto(f"{server.url}/auth/cli?cli_code=00000000")
    alice.reads("This code is unknown or has expired")
    alice.shoot("12-unknown-code")
    alice.page.goto(f"{server.url}/nowhere")
    alice.reads("Page not found")
    alice.shoot("13-not-found")

    at_once(lambda: users.suspend(user=User.objects.get(), by=None))
    again = person()
    again.page.goto(tool().link)
    again.sign_in_at_github("alice")
    again.reads("This account is suspended")
    again.shoot("14-suspended")

    sandbox.faults(target="github", match="GET /user$", status=500)
    bob = person()
    bob.page.goto(f"{server.url}/")
    bob.shoot("15-front-page")
    bob.sign_in_at_github("bob")
    bob.reads("Sign-in failed")
    bob.shoot("16-sign-in-failed")
    sandbox.control("POST", "/github/people/bob", {"emails": ["alice@example.com"]})
    bob.page.goto(f"{server.url}/")
    bob.sign_in_at_github("bob")
    bob.reads("Your e-mail address is already in use here")
    bob.shoot("17-address-in-use")


def test_a_long_name_and_another_address_fit_on_the_page(server, person, tool):
    alice = person()
    approve(alice, tool())
    cli = tool(clientName="W" * 100, hostname="w" * 255)
    alice.page.goto(cli.link)
    alice.reads(QUESTION)
    for width in (320, 375, 1100):
        alice.page.set_viewport_size({"width": width, "height": 740})
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    alice.shoot("18-long-names")
