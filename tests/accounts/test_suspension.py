"""A suspended person is out at once, everywhere, and back when they are restored."""

import pytest
from django.contrib.sessions.models import Session

from accounts.models import AuditEvent
from accounts.services import users
from tests.accounts.browsing import Browser, text_of
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
SUSPENDED = {"error": "This account is suspended. Ask an operator of this server to restore it."}


def test_tokens_answer_403_from_the_next_request_on(alice, alice_api):
    assert alice_api.get("/api/integrations").status_code != 403
    users.suspend(user=alice, by=None)
    for answer in (alice_api.get("/api/integrations"), alice_api.post("/api/auth/logout")):
        assert (answer.status_code, answer.json()) == (403, SUSPENDED)


def test_browsers_are_out_from_the_next_request_on(alice, browser_of):
    browsers = [browser_of(alice), browser_of(alice)]
    assert all(browser.is_signed_in for browser in browsers)
    users.suspend(user=alice, by=None)
    assert not any(browser.is_signed_in for browser in browsers)
    assert not Session.objects.exists()


def test_a_browser_whose_session_was_missed_is_out_all_the_same(alice, browser_of):
    browser = browser_of(alice)
    type(alice).objects.filter(pk=alice.pk).update(is_active=False)
    assert not browser.is_signed_in


def test_signing_in_again_leads_nowhere(github, browser):
    browser.sign_in("alice")
    users.suspend(user=_only_person(), by=None)
    again = Browser()
    page = again.sign_in("alice")
    assert (page.status_code, "This account is suspended" in text_of(page)) == (403, True)
    assert not again.is_signed_in


def test_another_person_notices_nothing(alice, bob, bob_api, browser_of):
    browser = browser_of(bob)
    users.suspend(user=alice, by=None)
    assert browser.is_signed_in
    assert bob_api.post("/api/auth/logout").status_code == 200


def test_restoring_makes_tokens_work_again_but_not_browsers(alice, alice_api, browser_of):
    browser = browser_of(alice)
    browser.get("/account/apps")
    users.suspend(user=alice, by=None)
    assert users.restore(user=alice, by=None)
    assert alice_api.post("/api/auth/logout").status_code == 200
    assert not browser.is_signed_in


def test_a_revoked_token_stays_revoked_when_its_person_is_restored(alice):
    api = APIClient(token_of(alice))
    api.post("/api/auth/logout")
    users.suspend(user=alice, by=None)
    users.restore(user=alice, by=None)
    assert api.post("/api/auth/logout").status_code == 401


def test_suspending_and_restoring_are_recorded_once_each(alice, bob):
    assert [users.suspend(user=alice, by=bob), users.suspend(user=alice, by=bob)] == [True, False]
    assert [users.restore(user=alice, by=bob), users.restore(user=alice, by=bob)] == [True, False]
    events = AuditEvent.objects.order_by("id").values_list("action", "actor_id", "target_id")
    assert list(events) == [
        ("user.suspended", bob.pk, str(alice.pk)),
        ("user.restored", bob.pk, str(alice.pk)),
    ]


def _only_person():
    return users.User.objects.get()
