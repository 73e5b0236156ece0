"""GET /api/auth/token: a browser's session becomes a token of five minutes for other services."""

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.bearer import InvalidToken
from accounts.models import Login
from accounts.oauth import access_tokens
from tests.accounts.browsing import Browser
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db
PATH = "/api/auth/token"


def token_of(browser):
    answer = browser.get(PATH)
    assert (answer.status_code, list(answer.json())) == (200, ["token"])
    assert answer["Cache-Control"] == "no-store"
    return answer.json()["token"]


def works(token):
    try:
        return bool(access_tokens.principal_of_jwt(token, now=timezone.now()))
    except InvalidToken:
        return False


def test_it_is_the_persons_in_their_organization(alices, alice):
    who = access_tokens.principal_of_jwt(token_of(alices), now=timezone.now())
    assert (who.id, who.organization_id, who.role) == (alice.pk, alice.personal_organization.pk, "owner")


def test_a_browser_has_one_login_however_often_it_asks(alices):
    assert token_of(alices) != token_of(alices)
    login = Login.objects.get()
    assert (login.address, login.user_agent) == ("127.0.0.1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")


def test_nobody_gets_none(browser):
    answer = browser.get(PATH)
    assert (answer.status_code, answer.json()) == (401, {"error": "You are not signed in. Sign in, and try again."})
    assert answer["WWW-Authenticate"] == 'Bearer realm="crayon"'
    assert answer["Cache-Control"] == "no-store"


def test_signing_out_ends_it(alices):
    token = token_of(alices)
    assert works(token)
    page = alices.get("/account/apps")
    alices.press(page, "/auth/sign-out")
    assert not works(token)


def test_ending_the_browser_from_another_one_ends_it(alices, browser_of, alice):
    token = token_of(alices)
    other = browser_of(alice)
    page = other.get("/account/apps")
    session = alice.usersession_set.get(logins__isnull=False)
    other.press(page, f"/account/browsers/{session.pk}/end")
    assert not works(token)


def test_a_session_that_has_expired_ends_it(alices):
    token = token_of(alices)
    Session.objects.update(expire_date=timezone.now())
    assert not works(token)


def test_only_looking_makes_nothing(alices):
    assert alices.client.head(PATH).status_code == 200
    assert not Login.objects.exists()


def test_other_methods_are_refused(alices):
    assert alices.client.post(PATH).status_code in {403, 405}


@pytest.mark.django_db(transaction=True)
def test_many_pages_that_ask_at_once_share_the_login(alices):
    alices.get("/account/apps")
    cookies = dict(alices.client.cookies.items())

    def ask():
        browser = Browser()
        browser.client.cookies.update(cookies)
        return browser.get(PATH).status_code

    assert at_once(*[ask] * 6) == [200] * 6
    assert Login.objects.count() == 1
