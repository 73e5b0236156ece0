"""Who may sign up: everybody, those on a list, or those an operator lets in."""

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, CLILogin, User
from accounts.services import cli_login, users
from tests.accounts.browsing import Browser, text_of

pytestmark = pytest.mark.django_db


def assert_refused(page, browser):
    assert (page.status_code, "You are not on this server's list" in text_of(page)) == (403, True)
    assert not browser.is_signed_in
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.fixture
def allowlist(settings):
    settings.SIGNUP_POLICY = "allowlist"
    settings.SIGNUP_ALLOWED_LOGINS = []
    settings.SIGNUP_ALLOWED_ORGANIZATIONS = []
    settings.SIGNUP_ALLOWED_EMAIL_DOMAINS = []
    return settings


def test_everybody_may_sign_up_by_default(github, browser):
    browser.sign_in("charlie")
    assert browser.is_signed_in


def test_an_empty_list_lets_nobody_in(github, browser, allowlist):
    assert_refused(browser.sign_in("alice"), browser)


@pytest.mark.parametrize("login", ["alice", "Alice"])
def test_a_listed_login_may_sign_up(github, browser, allowlist, login):
    allowlist.SIGNUP_ALLOWED_LOGINS = ["alice"]
    browser.sign_in(login)
    assert browser.is_signed_in
    charlies = Browser()
    assert charlies.sign_in("charlie").status_code == 403
    assert User.objects.count() == 1


@pytest.mark.parametrize("login", ["alic", "alicee", "alice-two"])
def test_a_login_that_is_merely_like_a_listed_one_may_not(github, browser, allowlist, login):
    allowlist.SIGNUP_ALLOWED_LOGINS = ["alice"]
    assert_refused(browser.sign_in(login), browser)


def test_a_member_of_a_listed_organization_may_sign_up(github, browser, allowlist):
    allowlist.SIGNUP_ALLOWED_ORGANIZATIONS = ["crayon-team"]
    allowlist.SOCIALACCOUNT_PROVIDERS["github"]["SCOPE"].append("read:org")
    try:
        browser.sign_in("alice")
        assert browser.is_signed_in
        assert Browser().sign_in("charlie").status_code == 403
    finally:
        allowlist.SOCIALACCOUNT_PROVIDERS["github"]["SCOPE"].remove("read:org")


def test_organizations_that_cannot_be_read_let_nobody_in(github, browser, allowlist):
    allowlist.SIGNUP_ALLOWED_ORGANIZATIONS = ["crayon-team"]
    github.faults(target="github", match="GET /user/orgs", status=500, times=0)
    assert browser.sign_in("alice").status_code == 502
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "answer", [b'{"login": "crayon-team"}', b'["crayon-team"]', b'[{"login": ["crayon-team"]}]', b"7"]
)
def test_an_odd_answer_about_organizations_lets_nobody_in(github, browser, allowlist, answer):
    allowlist.SIGNUP_ALLOWED_ORGANIZATIONS = ["crayon-team"]
    github.faults(
        target="github", match="GET /user/orgs", status=200, body=answer.decode(), content_type="application/json"
    )
    assert_refused(browser.sign_in("alice"), browser)


def test_a_verified_address_of_a_listed_domain_may_sign_up(github, browser, allowlist):
    allowlist.SIGNUP_ALLOWED_EMAIL_DOMAINS = ["example.com"]
    browser.sign_in("alice")
    assert browser.is_signed_in


@pytest.mark.parametrize(
    "emails",
    [
        ["alice@example.com.evil.example"],
        ["alice@notexample.com"],
        ["example.com@evil.example"],
        [{"email": "alice@example.com", "verified": False}],
        [{"email": "x@evil.example"}, {"email": "alice@example.com", "primary": False}],
        [],
    ],
    ids=repr,
)
def test_another_address_may_not(github, browser, allowlist, emails):
    allowlist.SIGNUP_ALLOWED_EMAIL_DOMAINS = ["example.com"]
    github.control("POST", "/github/people/alice", {"emails": emails})
    assert_refused(browser.sign_in("alice"), browser)


def test_who_is_here_already_is_asked_about_again_when_the_list_changes(github, browser, allowlist):
    allowlist.SIGNUP_POLICY = "open"
    browser.sign_in("alice")
    allowlist.SIGNUP_POLICY = "allowlist"
    page = Browser().sign_in("alice")
    assert (page.status_code, "You are no longer on this server's list" in text_of(page)) == (403, True)
    assert browser.is_signed_in


def test_on_a_waiting_list_people_wait_until_an_operator_lets_them_in(github, browser, settings, bob):
    settings.SIGNUP_POLICY = "waitlist"
    for _ in range(2):
        page = browser.sign_in("alice")
        assert (page.status_code, "You are on the waiting list" in text_of(page)) == (403, True)
        assert not browser.is_signed_in
    alice = User.objects.get(github_login="alice")
    assert (alice.is_active, alice.waitlisted_at is None) == (False, False)

    assert users.approve_from_waitlist(user=alice, by=bob)
    assert not users.approve_from_waitlist(user=alice, by=bob)
    browser.sign_in("alice")
    assert browser.is_signed_in
    event = AuditEvent.objects.get(action="user.approved")
    assert (event.actor_id, event.target_id) == (bob.pk, str(alice.pk))


def test_restoring_is_no_way_past_the_waiting_list(github, browser, settings):
    settings.SIGNUP_POLICY = "waitlist"
    browser.sign_in("alice")
    alice = User.objects.get()
    assert not users.restore(user=alice, by=None)
    alice.refresh_from_db()
    assert not alice.is_active


def test_who_waits_cannot_approve_a_login(github, browser, settings, started):
    settings.SIGNUP_POLICY = "waitlist"
    code, secret = started()
    page = browser.sign_in("alice", next_path=f"/auth/cli?cli_code={code}")
    assert page.status_code == 403
    status = cli_login.check(code=code, secret=secret, address="127.0.0.1", now=timezone.now())
    assert (status.status, CLILogin.objects.get().state) == ("pending", "pending")
