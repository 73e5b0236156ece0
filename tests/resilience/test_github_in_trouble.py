"""GitHub down, slow or cutting the connection at each leg of a sign-in, seen from the running server."""

import pytest

from accounts.models import User
from tests.accounts.browsing import text_of
from tests.resilience.web import WebBrowser, approve, check, start_login
from tests.stopwatch import Stopwatch

TOKEN, USER, EMAILS = "POST /login/oauth/access_token", "GET /user$", "GET /user/emails"
NOT_CONFIRMED = "GitHub did not confirm who you are. Please try to sign in again in a moment."
TOO_SLOW = "GitHub did not answer in time. Please try to sign in again in a moment."
FAULTS = ({"status": 500}, {"status": 503}, {"drop": "before"}, {"drop": "after"}, {"status": 200, "body": "<html>"})


def is_signed_in(browser: WebBrowser) -> bool:
    return browser.get("/account/apps").status == 200


def test_github_failing_at_any_leg_signs_nobody_in_and_then_all_works_again(server, sandbox):
    browser = WebBrowser(server)
    for leg in (TOKEN, USER, EMAILS):
        for fault in FAULTS:
            sandbox.faults(target="github", match=leg, times=0, **fault)
            page = browser.sign_in("alice")
            sandbox.clear_faults()
            assert (page.status, NOT_CONFIRMED in text_of(page)) == (502, True), (leg, fault, text_of(page))
            assert not is_signed_in(browser)
    assert not User.objects.exists()

    assert browser.sign_in("alice").status == 302
    assert is_signed_in(browser)


@pytest.mark.slow(10)
def test_a_slow_github_costs_ten_seconds_and_signs_nobody_in(server, sandbox):
    browser = WebBrowser(server)
    sandbox.faults(target="github", match=USER, delay=30)
    back = browser.approved_at_github("alice")

    with Stopwatch() as watch:
        page = browser.get(back)

    assert (page.status, TOO_SLOW in text_of(page)) == (504, True)
    assert watch.seconds > 9.5
    assert watch.at_ease < 13
    assert not is_signed_in(browser)
    assert not User.objects.exists()


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 500}])
def test_a_login_that_waits_for_approval_outlives_githubs_trouble(server, sandbox, fault):
    browser = WebBrowser(server)
    code, secret = start_login(server)
    sandbox.faults(target="github", match=TOKEN, **fault)
    assert browser.sign_in("alice").status == 502
    assert check(server, code, secret).json() == {"data": {"status": "pending"}}

    browser.sign_in("alice")
    approve(browser, code)

    assert check(server, code, secret).json()["data"]["status"] == "approved"
