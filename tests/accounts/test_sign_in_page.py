"""GET /, GET /auth/sign-in and the way back to where one came from."""

import pytest

from tests.accounts.browsing import form_of, text_of

pytestmark = pytest.mark.django_db
EVIL = [
    "//evil.example.com",
    "///evil.example.com",
    "https://evil.example.com",
    "http:evil.example.com",
    "http:///evil.example.com",
    "javascript:alert(1)",
    "data:text/html,x",
    "\\\\evil.example.com",
    "/\\evil.example.com",
    "\\/evil.example.com",
    "/\t/evil.example.com",
    " //evil.example.com",
    "https://testserver@evil.example.com",
    "https:\\\\evil.example.com",
    "account/apps",
    "",
]


@pytest.mark.parametrize("address", ["/", "/auth/sign-in"])
def test_a_stranger_may_sign_in_with_github(browser, address):
    page = browser.get(address)
    assert page.status_code == 200
    assert "Sign in with GitHub" in text_of(page)
    assert form_of(page, "/auth/github")["next"] == "/workspaces/"


@pytest.mark.parametrize("address", ["/", "/auth/sign-in"])
def test_somebody_signed_in_goes_on_to_their_workspaces(browser_of, alice, address):
    answer = browser_of(alice).get(address)
    assert (answer.status_code, answer["Location"]) == (302, "/workspaces/")


def test_a_stranger_reads_what_this_server_is(browser):
    text = text_of(browser.get("/"))
    assert [word in text for word in ("Develop", "Connect", "Deploy", "workspace", "secret")] == [True] * 5


@pytest.mark.parametrize("address", ["/", "/auth/sign-in"])
def test_a_server_without_github_says_what_is_missing(browser, settings, address):
    settings.GITHUB_CLIENT_ID = ""
    page = browser.get(address)
    assert "GITHUB_CLIENT_ID" in text_of(page)
    assert b"/auth/github" not in page.content


@pytest.mark.parametrize("path", ["/auth/cli?cli_code=0a1b2c3d", "/account/apps", "/x?a=1&b=%2F"])
def test_a_path_of_ours_is_come_back_to(github, browser, browser_of, alice, path):
    assert form_of(browser.get("/auth/sign-in", next=path), "/auth/github")["next"] == path
    assert browser.sign_in("bob", next_path=path)["Location"] == path
    assert browser_of(alice).get("/auth/sign-in", next=path)["Location"] == path


@pytest.mark.parametrize("path", EVIL)
def test_another_place_is_not(browser, browser_of, alice, path):
    assert form_of(browser.get("/auth/sign-in", next=path), "/auth/github")["next"] == "/workspaces/"
    assert browser_of(alice).get("/auth/sign-in", next=path)["Location"] == "/workspaces/"


@pytest.mark.parametrize("path", [*EVIL, "\x00//evil.example.com"])
def test_another_place_written_into_the_form_is_not_either(github, browser, path):
    page = browser.get("/auth/sign-in")
    location = browser.press(page, "/auth/github", next=path)["Location"]
    answer = browser.client.get(browser.approve_at_github(location, login="alice"))
    assert answer.status_code == 302
    assert answer["Location"] in {"/workspaces/", "account/apps"}


def test_a_page_that_needs_a_person_leads_here_and_back(browser):
    answer = browser.get("/account/apps")
    assert (answer.status_code, answer["Location"]) == (302, "/auth/sign-in?next=/account/apps")


def test_a_form_whose_origin_the_browser_hides_is_refused_with_the_cause(browser):
    form = form_of(browser.get("/auth/sign-in"), "/auth/github")
    page = browser.client.post("/auth/github", form, headers={"Origin": "null"})
    assert (page.status_code, "hides which site this form was on (`Origin: null`)" in text_of(page)) == (403, True)
    other = browser.client.post("/auth/github", form, headers={"Origin": "https://evil.example.com"})
    assert (other.status_code, "came from another site" in text_of(other)) == (403, True)
