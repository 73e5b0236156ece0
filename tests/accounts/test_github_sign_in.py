"""Signing in with GitHub: the whole dance, and who one is afterwards."""

import json

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.allauth_adapters import SocialAccountAdapter
from accounts.models import AuditEvent, Membership, Organization, User
from tests.accounts.browsing import Browser, asked_of_github, form_of, text_of
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db
LOST = "This sign-in took too long or began in another browser. Please start again."
EMAILS = "GET /user/emails"
TWICE = "You are just signing in in another window. Please try again."


def test_the_first_sign_in_makes_the_person_their_organization_and_an_audit_row(github, browser):
    answer = browser.sign_in("alice")
    assert (answer.status_code, answer["Location"]) == (302, "/workspaces/")
    assert browser.is_signed_in
    alice = User.objects.get()
    assert (alice.username, alice.github_login, alice.github_id) == ("alice", "alice", 1001)
    assert (alice.name, alice.email, alice.is_active) == ("Alice", "alice@example.com", True)
    assert (alice.is_staff, alice.is_superuser, alice.has_usable_password()) == (False, False, False)
    membership = Membership.objects.get()
    assert (membership.user, membership.role) == (alice, "owner")
    assert (membership.organization.slug, membership.organization.personal_for) == ("alice", alice)
    events = AuditEvent.objects.order_by("id")
    assert [event.action for event in events] == ["user.signed_up", "user.signed_in"]
    for event in events:
        assert (event.actor_id, event.address) == (alice.pk, "127.0.0.1")
        assert event.request_id == answer["X-Request-ID"]


def test_the_second_sign_in_is_the_same_person(github, browser):
    browser.sign_in("alice")
    Browser().sign_in("alice")
    assert User.objects.count() == Organization.objects.count() == 1
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["user.signed_up", "user.signed_in", "user.signed_in"]


def test_a_person_renamed_at_github_stays_the_same_person(github, browser):
    browser.sign_in("alice")
    before = User.objects.get()
    github.control("POST", "/github/people/alice", {"login": "alice-two", "emails": ["two@example.com"]})
    Browser().sign_in("alice-two")
    after = User.objects.get()
    assert (after.pk, after.username) == (before.pk, "alice")
    assert (after.github_login, after.email) == ("alice-two", "two@example.com")
    followed = AuditEvent.objects.filter(action__in=["user.renamed", "user.email_changed"]).order_by("pk")
    assert list(followed.values_list("actor_id", "action", "details")) == [
        (before.pk, "user.renamed", {"from": "alice", "to": "alice-two"}),
        (before.pk, "user.email_changed", {"from": "alice@example.com", "to": "two@example.com"}),
    ]


def test_an_address_that_changed_at_github_is_followed_although_the_login_did_not(github, browser):
    browser.sign_in("alice")
    github.control("POST", "/github/people/alice", {"emails": ["two@example.com"]})
    Browser().sign_in("alice")
    assert User.objects.values_list("github_login", "email").get() == ("alice", "two@example.com")
    assert AuditEvent.objects.get(action="user.email_changed").details["to"] == "two@example.com"


def test_a_change_at_github_that_cannot_be_written_down_is_not_followed(github, browser):
    browser.sign_in("alice")
    github.control("POST", "/github/people/alice", {"login": "alice-two", "emails": ["two@example.com"]})
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    again = Browser()
    again.sign_in("alice-two")
    assert not again.is_signed_in
    assert User.objects.values_list("github_login", "email").get() == ("alice", "alice@example.com")


def test_who_takes_over_a_login_at_github_is_another_person(github, browser):
    browser.sign_in("alice")
    github.control("POST", "/github/people/alice", {"login": "alice-two"})
    github.control("POST", "/github/people/alice", {"id": 4004, "emails": ["other@example.com"]})
    other = Browser()
    other.sign_in("alice")
    first, second = User.objects.order_by("github_id")
    assert (first.github_id, second.github_id) == (1001, 4004)
    assert first.username == "alice" != second.username
    assert second.github_login == "alice"
    assert second.personal_organization.slug != first.personal_organization.slug


def test_the_browser_is_sent_to_the_github_of_the_settings_with_state_and_pkce(github, browser, settings):
    address = browser.go_to_github()
    asked = asked_of_github(address)
    assert address.startswith(f"{settings.GITHUB_URL}/login/oauth/authorize?")
    assert asked["client_id"] == "sandbox-github-client"
    assert asked["redirect_uri"] == "http://testserver/api/auth/github/callback"
    assert set(asked["scope"].split()) == {"read:user", "user:email"}
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert len(asked["state"]) >= 16


def test_the_code_is_exchanged_with_the_verifier_of_the_challenge(github, browser):
    # The stand-in gives no token for a code with a challenge unless the verifier comes along.
    address = browser.go_to_github()
    back = browser.approve_at_github(address, login="alice")
    code = github.state()["github"]["codes"][asked_of_github(back)["code"]]
    assert code["challenge"] == asked_of_github(address)["code_challenge"] != ""
    assert browser.client.get(back).status_code == 302


def test_state_and_challenge_are_new_every_time(github, browser):
    first, second = (asked_of_github(browser.go_to_github()) for _ in range(2))
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


def test_the_callback_comes_from_public_url_and_never_from_the_host_header(github, browser, settings):
    settings.ALLOWED_HOSTS = ["testserver", "other.example.com"]
    browser.client.defaults["HTTP_HOST"] = "other.example.com"
    assert asked_of_github(browser.go_to_github())["redirect_uri"] == "http://testserver/api/auth/github/callback"


def test_the_older_callback_address_works_too(github, browser):
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    answer = browser.client.get(back.replace("/api/auth/github/callback", "/api/auth/callback/github"))
    assert (answer.status_code, browser.is_signed_in) == (302, True)


def test_a_bare_link_starts_no_sign_in(github, browser):
    for method in (browser.client.get, browser.client.head):
        answer = method("/auth/github")
        assert (answer.status_code, answer["Location"]) == (302, "/auth/sign-in")


def test_a_form_from_another_site_starts_no_sign_in(github, browser):
    browser.get("/auth/sign-in")
    assert browser.client.post("/auth/github").status_code == 403


def test_parameters_of_the_address_change_nothing_of_what_is_asked(github, browser):
    page = browser.get("/auth/sign-in")
    action = "/auth/github?scope=repo&auth_params=scope%3Drepo%26prompt%3Dnone&process=connect&action=reauthenticate"
    answer = browser.client.post(action, form_of(page, "/auth/github"))
    asked = asked_of_github(answer["Location"])
    assert (set(asked["scope"].split()), "prompt" in asked) == ({"read:user", "user:email"}, False)
    assert browser.client.get(browser.approve_at_github(answer["Location"], login="alice"))["Location"]
    assert browser.is_signed_in


def test_a_server_without_github_says_what_is_missing(browser, settings):
    page = browser.get("/auth/sign-in")
    settings.GITHUB_CLIENT_ID = ""
    answer = browser.press(page, "/auth/github")
    assert (answer.status_code, "GITHUB_CLIENT_ID" in text_of(answer)) == (503, True)


def test_looking_at_a_callback_by_head_leaves_it_good(github, browser):
    back = browser.approve_at_github(browser.go_to_github(next_path="/account/apps"), login="alice")
    for _ in range(2):
        looked = browser.client.head(back)
        assert (looked.status_code, looked["Location"]) == (302, "/account/apps")
    canceled = browser.client.head(
        f"{back.partition('?')[0]}?error=access_denied&state={asked_of_github(back)['state']}"
    )
    assert (canceled.status_code, canceled.content) == (400, b"")
    assert not browser.is_signed_in
    answer = browser.client.get(back)
    assert (answer.status_code, answer["Location"]) == (302, "/account/apps")
    assert browser.is_signed_in


def test_a_callback_is_good_once(github, browser):
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    assert browser.client.get(back).status_code == 302
    browser.press(browser.get("/account/apps"), "/auth/sign-out")
    page = browser.client.get(back)
    assert (page.status_code, LOST in text_of(page)) == (400, True)
    assert '<a class="button primary" href="/auth/sign-in">Sign in again</a>' in page.content.decode()
    assert not browser.is_signed_in


def test_a_name_is_kept_without_what_cannot_be_shown(github, browser):
    github.control("POST", "/github/people/alice", {"name": "Al\u0000ice\n\u202e <b>" + "x" * 300})
    browser.sign_in("alice")
    assert User.objects.get().name == ("Alice <b>" + "x" * 300)[:255]
    assert b"<b>" not in browser.get("/account/apps").content


@pytest.mark.parametrize(
    "emails",
    [
        [],
        [{"email": "alice@example.com", "verified": False, "primary": True}],
        [{"email": "alice@example.com", "verified": True, "primary": False}],
        [{"email": "no address", "verified": True, "primary": True}],
        [{"email": "a\x00@example.com", "verified": True, "primary": True}],
        [{"email": None, "verified": True, "primary": True}, "x", None],
        {"message": "odd"},
    ],
    ids=repr,
)
def test_only_a_verified_primary_address_is_kept(github, browser, emails):
    github.faults(target="github", match=EMAILS, status=200, body=json.dumps(emails), content_type="application/json")
    browser.sign_in("alice")
    assert (browser.is_signed_in, User.objects.get().email) == (True, "")


def test_an_address_that_is_somebody_elses_here_is_refused_and_nothing_is_made(github, browser, alice):
    github.control("POST", "/github/people/bob", {"emails": ["Alice@Example.com"]})
    page = browser.sign_in("bob")
    assert (page.status_code, "Your e-mail address is already in use here" in text_of(page)) == (409, True)
    assert not browser.is_signed_in
    assert list(User.objects.all()) == [alice]
    assert "socialaccount_sociallogin" not in browser.client.session


def test_a_login_that_is_an_operators_username_gives_a_new_person_another_one(github, browser):
    User.objects.create_superuser(username="alice", email="root@example.com", password="only-for-tests-0123")
    browser.sign_in("alice")
    newcomer = User.objects.get(github_login="alice")
    assert (newcomer.username != "alice", newcomer.is_staff, newcomer.is_superuser) == (True, False, False)
    assert browser.is_signed_in


@pytest.mark.parametrize("login", ["admin", "root", "api", "1", "a-b", "a" * 39])
def test_any_login_of_github_can_sign_in(github, browser, login):
    browser.sign_in(login)
    assert browser.is_signed_in
    assert User.objects.get().github_login == login


def test_signing_in_gives_the_browser_a_new_session(github, browser):
    browser.go_to_github()
    before = browser.client.cookies["session"].value
    browser.sign_in("alice")
    assert browser.client.cookies["session"].value not in {"", before}


def test_signing_in_as_somebody_else_ends_the_first_persons_session(github, browser):
    browser.sign_in("alice")
    address = browser.press(browser.get("/account/apps"), "/auth/sign-out")["Location"]
    assert address == "/auth/sign-in"
    browser.sign_in("bob")
    assert "Signed in as bob" in text_of(browser.get("/account/apps"))


def test_no_token_of_github_is_kept(github, browser):
    browser.sign_in("alice")
    tokens = list(github.state()["github"]["tokens"])
    assert len(tokens) == 1
    dump = []
    call_command("dumpdata", "accounts", "socialaccount", "account", "sessions", "usersessions", stdout=Lines(dump))
    assert "alice" in "".join(dump)
    assert not any(token in "".join(dump) for token in tokens)
    assert not any(token in repr(dict(browser.client.session)) for token in tokens)


class Lines:
    def __init__(self, lines):
        self.write = lines.append
        self.flush = lambda: None


@pytest.mark.django_db(transaction=True)
def test_first_sign_ins_at_once_make_one_person(github):
    browsers = [Browser() for _ in range(6)]
    backs = [browser.approve_at_github(browser.go_to_github(), login="alice") for browser in browsers]
    answers = at_once(
        *[
            lambda browser=browser, back=back: browser.client.get(back)
            for browser, back in zip(browsers, backs, strict=True)
        ]
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {302, 409}
    assert 302 in statuses
    assert User.objects.count() == Organization.objects.count() == Membership.objects.count() == 1
    assert AuditEvent.objects.filter(action="user.signed_up").count() == 1
    for browser, status in zip(browsers, statuses, strict=True):
        assert browser.is_signed_in == (status == 302)
    assert Browser().sign_in("alice").status_code == 302


@pytest.mark.parametrize("path", ["/account/apps", "/workspaces/?page=2"])
def test_a_callback_that_is_loaded_again_goes_on_to_where_it_was_going(github, browser, path):
    callback = browser.approve_at_github(browser.go_to_github(next_path=path), login="alice")
    answers = [browser.client.get(callback) for _ in range(3)]
    assert [(answer.status_code, answer.get("Location")) for answer in answers] == [(302, path)] * 3
    assert AuditEvent.objects.filter(action="user.signed_in").count() == 1


@pytest.mark.parametrize("query", ["", "?code=0&state=gone", "?error=access_denied&state=gone"])
def test_a_callback_of_no_sign_in_leads_somebody_signed_in_to_their_workspaces(alices, query):
    answer = alices.get(f"/api/auth/github/callback{query}")
    assert (answer.status_code, answer["Location"]) == (302, "/workspaces/")


def test_a_callback_loaded_again_leads_away_by_a_link_only(github, browser):
    callback = browser.approve_at_github(browser.go_to_github(next_path="/auth/dev-ui?app=x"), login="alice")
    first, second = browser.client.get(callback), browser.client.get(callback)
    assert (first.status_code, second.status_code) == (200, 200)
    assert 'href="/auth/dev-ui?app=x"' in second.content.decode()


def test_a_first_sign_in_that_is_overtaken_by_the_same_persons_tells_of_no_other_person(github, browser, monkeypatch):
    others = [Browser()]
    looked_up = SocialAccountAdapter.is_open_for_signup

    def overtaken(*arguments):
        # Between the look-up of this person and what is made of it.
        if others:
            assert others.pop().sign_in("alice").status_code == 302
        return looked_up(*arguments)

    monkeypatch.setattr(SocialAccountAdapter, "is_open_for_signup", overtaken)
    page = browser.sign_in("alice")
    assert (page.status_code, TWICE in text_of(page), "Another person" in text_of(page)) == (409, True, False)
    assert User.objects.count() == 1
    assert browser.sign_in("alice").status_code == 302
