"""/auth/cli before one is signed in, and for somebody who is shut out."""

import pytest

from accounts.models import CLILogin, User
from accounts.services import users
from tests.accounts.browsing import Browser, form_of, text_of

pytestmark = pytest.mark.django_db
PATH = "/auth/cli"


def look(browser, code):
    return browser.get(PATH, cli_code=code)


def state_of(code):
    return CLILogin.objects.get(code=code).state


def test_the_code_in_the_address_is_escaped_for_strangers(browser):
    page = look(browser, '"><script>alert(1)</script>')
    assert b"<script>alert" not in page.content
    assert b"&lt;script&gt;alert(1)" in page.content


def test_a_stranger_sees_the_sign_in_page_and_nothing_of_the_login(browser, started):
    code, _ = started(client_name="secret name", hostname="secret-host")
    page = look(browser, code)
    text = text_of(page)
    assert page.status_code == 200
    assert ("Sign in with GitHub" in text, code in text) == (True, True)
    assert "secret" not in text.replace("your team's secrets", "")
    assert form_of(page, "/auth/github")["next"] == f"{PATH}?cli_code={code}"


def test_a_stranger_cannot_tell_which_codes_exist(browser, started):
    code, _ = started()
    known, unknown = look(browser, code), look(browser, "00000000")
    assert text_of(known).replace(code, "") == text_of(unknown).replace("00000000", "")


def test_a_strangers_form_leads_to_sign_in_and_decides_nothing(browser, started):
    code, _ = started()
    fields = {**form_of(look(browser, code), "/auth/github"), "cli_code": code, "decision": "approve"}
    answer = browser.client.post(PATH, fields)
    assert (answer.status_code, answer["Location"]) == (302, f"{PATH}?cli_code={code}")
    assert state_of(code) == "pending"


def test_after_signing_in_at_github_one_is_back_on_the_page_and_nothing_is_approved(github, browser, started):
    code, _ = started()
    location = browser.press(look(browser, code), "/auth/github")["Location"]
    answer = browser.client.get(browser.approve_at_github(location, login="alice"))
    assert (answer.status_code, answer["Location"]) == (302, f"{PATH}?cli_code={code}")
    assert state_of(code) == "pending"
    assert "Does your terminal show this code?" in text_of(browser.get(answer["Location"]))


def test_a_suspended_person_is_shut_out_and_decides_nothing(alices, alice, started):
    code, _ = started()
    fields = form_of(look(alices, code), PATH)
    users.suspend(user=alice, by=None)
    assert "Sign in with GitHub" in text_of(look(alices, code))
    assert alices.client.post(PATH, {**fields, "decision": "approve"}).status_code in {302, 403}
    assert state_of(code) == "pending"


def test_a_suspended_person_who_signs_in_again_reads_that_nothing_was_approved(github, browser, started):
    browser.sign_in("alice")
    users.suspend(user=User.objects.get(), by=None)
    code, _ = started()
    again = Browser()
    location = again.press(look(again, code), "/auth/github")["Location"]
    page = again.client.get(again.approve_at_github(location, login="alice"))
    assert (page.status_code, "This account is suspended Nothing was approved" in text_of(page)) == (403, True)
    assert state_of(code) == "pending"
