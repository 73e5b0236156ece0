"""/account/apps: what is signed in as me, and signing it out."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent
from accounts.services import tokens, users
from tests.accounts.browsing import Browser, form_of, text_of
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
PATH = "/account/apps"
GONE = "This app or browser is not signed in any more."


def revoke_path(token):
    return f"{PATH}/{token.pk}/revoke"


def test_a_stranger_is_sent_to_sign_in(browser, alice_api):
    answer = browser.get(PATH)
    assert (answer.status_code, answer["Location"]) == (302, f"/auth/sign-in?next={PATH}")


def test_a_tools_token_opens_no_page(alice_api):
    assert alice_api.get(PATH).status_code == 302


def test_it_lists_my_apps_with_name_host_address_and_use(alices, alice):
    api = APIClient(token_of(alice, client_name="crayon CLI", hostname="build-7"))
    AccessToken.objects.update(address="192.0.2.7")
    text = text_of(alices.get(PATH))
    assert "crayon CLI on build-7 from 192.0.2.7 · signed in" in text
    assert "never used" in text
    api.get("/api/integrations")
    assert "last used" in text_of(alices.get(PATH))


def test_what_an_app_says_of_itself_cannot_turn_the_words_around_it(alices, alice):
    token_of(alice, client_name="כלי", hostname="מחשב")
    assert "<strong><bdi>כלי on מחשב</bdi></strong>" in alices.get(PATH).content.decode()


def test_it_lists_nothing_of_others(charlies, alice, bob):
    token_of(alice, hostname="alices-laptop")
    token_of(bob, hostname="bobs-laptop")
    text = text_of(charlies.get(PATH))
    assert "No app is signed in." in text
    assert ("alice" in text, "bob" in text) == (False, False)


def test_revoked_and_expired_apps_are_not_listed(alices, alice):
    for hostname in ("working", "revoked", "expired"):
        token_of(alice, hostname=f"{hostname}-host")
    AccessToken.objects.filter(hostname="revoked-host").update(revoked_at=timezone.now())
    AccessToken.objects.filter(hostname="expired-host").update(expires_at=timezone.now())
    text = text_of(alices.get(PATH))
    assert [f"{name}-host" in text for name in ("working", "revoked", "expired")] == [True, False, False]


def test_revoking_works_with_the_apps_very_next_request(alices, alice):
    api = APIClient(token_of(alice, hostname="lost-laptop"))
    other = APIClient(token_of(alice))
    token = AccessToken.objects.get(hostname="lost-laptop")
    answer = alices.press(alices.get(PATH), revoke_path(token))
    assert (answer.status_code, answer["Location"]) == (302, PATH)
    assert api.post("/api/auth/logout").status_code == 401
    assert other.post("/api/auth/logout").status_code == 200
    assert "crayon CLI on lost-laptop is signed out." in text_of(alices.get(PATH))
    event = AuditEvent.objects.get(target_id=str(token.pk))
    assert (event.action, event.actor_id) == ("access_token.revoked", alice.pk)


def test_nobody_revokes_what_is_anothers_and_the_answer_tells_nothing(alices, charlies, alice):
    api = APIClient(token_of(alice))
    fields = form_of(charlies.get(PATH), "/account/revoke-all")
    absent = charlies.client.post(f"{PATH}/{uuid.uuid4()}/revoke", fields)
    anothers = charlies.client.post(revoke_path(AccessToken.objects.get()), fields)
    assert absent.status_code == anothers.status_code == 404
    assert text_of(absent) == text_of(anothers)
    assert GONE in text_of(absent)
    assert api.post("/api/auth/logout").status_code == 200


def test_revoking_twice_is_fine_and_recorded_once(alices, alice):
    token_of(alice)
    path = revoke_path(AccessToken.objects.get())
    page = alices.get(PATH)
    assert [alices.press(page, path).status_code for _ in range(2)] == [302, 302]
    assert AuditEvent.objects.count() == 1


def test_no_get_and_no_forged_form_signs_anything_out(alices, alice):
    token_of(alice)
    alices.get(PATH)
    for path in (revoke_path(AccessToken.objects.get()), "/account/revoke-all", "/account/browsers/1/end"):
        assert alices.get(path).status_code == 405
        assert alices.client.post(path).status_code == 403
    assert AccessToken.objects.get().revoked_at is None
    assert alices.is_signed_in


@pytest.mark.parametrize("path", [f"{PATH}/x/revoke", f"{PATH}/1/revoke", f"/account/browsers/{10**30}/end"])
def test_an_odd_id_is_not_found(alices, path):
    fields = form_of(alices.get(PATH), "/account/revoke-all")
    assert alices.client.post(path, fields).status_code == 404


def test_it_lists_my_browsers_and_marks_this_one(alices, browser_of, alice):
    browser_of(alice, address="192.0.2.9").get(PATH)
    text = text_of(alices.get(PATH))
    assert "Firefox on Linux this browser from 127.0.0.1" in text
    assert "Firefox on Linux from 192.0.2.9" in text
    assert text.count("this browser") == 1


def test_ending_a_browser_signs_it_out_at_once(alices, browser_of, alice):
    lost = browser_of(alice, address="192.0.2.9")
    lost.get(PATH)
    page = alices.get(PATH)
    (path,) = {line.split('"')[1] for line in page.content.decode().split("action=") if "/account/browsers/" in line}
    assert alices.press(page, path).status_code == 302
    assert (lost.is_signed_in, alices.is_signed_in) == (False, True)
    assert AuditEvent.objects.get().action == "browser_session.ended"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_end_a_browser_at_once_one_does_and_writes_it_down(alice, browser_of):
    browser_of(alice).get(PATH)
    session_id = _sessions().get().pk

    def end():
        try:
            tokens.end_browser_session(session_id=session_id, user=alice)
        except tokens.NoSuchApp:
            return "gone"
        return "ended"

    assert sorted(at_once(*[end] * 4)) == ["ended", "gone", "gone", "gone"]
    assert AuditEvent.objects.get().action == "browser_session.ended"


def test_nobody_ends_anothers_browser(alices, charlies):
    alices.get(PATH)
    page = charlies.get(PATH)
    fields = form_of(page, "/account/revoke-all")
    session_ids = list(_sessions().values_list("pk", flat=True))
    answers = [charlies.client.post(f"/account/browsers/{pk}/end", fields) for pk in (min(session_ids), 10**6)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert text_of(answers[0]) == text_of(answers[1])
    assert alices.is_signed_in


def test_signing_out_everywhere_ends_all_of_mine_and_nothing_else(alices, charlies, browser_of, alice, charlie):
    apis = [APIClient(token_of(alice)), APIClient(token_of(alice))]
    others = APIClient(token_of(charlie))
    second = browser_of(alice)
    for browser in (second, charlies):
        browser.get(PATH)
    answer = alices.press(alices.get(PATH), "/account/revoke-all")
    assert (answer.status_code, answer["Location"]) == (302, "/auth/sign-in")
    assert [api.post("/api/auth/logout").status_code for api in (*apis, others)] == [401, 401, 200]
    assert [browser.is_signed_in for browser in (alices, second, charlies)] == [False, False, True]
    event = AuditEvent.objects.get(action="user.sessions_revoked")
    assert (event.actor_id, event.details) == (alice.pk, {"tokens": 2, "keys": 0, "browsers": 2})


def test_signing_out_everywhere_asks_first_and_says_how_much_that_is(alices, browser_of, alice):
    token_of(alice)
    browser_of(alice, address="192.0.2.9").get(PATH)
    alices.get(PATH)
    assert "Sign out 1 app and 2 browsers, this one included?" in text_of(alices.get(PATH))


def test_signing_out_everywhere_asks_about_this_browser_alone_where_there_is_no_other(alices, alice):
    alices.get(PATH)
    assert "Sign out this browser? You sign in anew then." in text_of(alices.get(PATH))
    token_of(alice)
    assert "Sign out 1 app and this browser? They stop working" in text_of(alices.get(PATH))


def test_signing_out_ends_the_session_itself(alices):
    key = alices.client.cookies["session"].value
    page = alices.get(PATH)
    answer = alices.press(page, "/auth/sign-out")
    assert (answer.status_code, answer["Location"]) == (302, "/auth/sign-in")
    thief = Browser()
    thief.client.cookies["session"] = key
    assert not thief.is_signed_in


def test_signing_out_is_recorded_and_takes_the_browser_off_the_list_at_once(alices, browser_of, alice):
    other = browser_of(alice, address="192.0.2.9")
    other.get(PATH)
    key = alices.client.cookies["session"].value
    alices.press(alices.get(PATH), "/auth/sign-out")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.address) == ("user.signed_out", alice.pk, "127.0.0.1")
    assert not _sessions().filter(session_key=key).exists()
    assert "from 127.0.0.1" not in text_of(other.get(PATH))


@pytest.mark.django_db(transaction=True)
def test_signing_out_many_times_at_once_is_recorded_once(alice, browser_of):
    browser = browser_of(alice)
    browser.get(PATH)
    key = browser.client.cookies["session"].value
    at_once(*[lambda: tokens.end_own_browser_session(session_key=key, user=alice)] * 4)
    assert AuditEvent.objects.get().action == "user.signed_out"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_sign_out_everywhere_at_once_each_counts_what_it_ended_itself(alice, browser_of):
    for _ in range(3):
        browser_of(alice).get(PATH)
    ended = at_once(*[lambda: users.revoke_everything(user=alice, by=alice, now=timezone.now())] * 3)
    assert sorted(ended) == [0, 0, 3]


def test_a_stranger_who_signs_out_leaves_no_row(browser):
    fields = form_of(browser.get("/auth/sign-in"), "/auth/github")
    assert browser.client.post("/auth/sign-out", fields).status_code == 302
    assert not AuditEvent.objects.exists()


def test_signing_out_needs_a_press_of_the_button(alices):
    assert alices.get("/auth/sign-out").status_code == 405
    assert alices.client.post("/auth/sign-out").status_code == 403
    assert alices.is_signed_in


def test_a_session_is_over_after_two_weeks(alices):
    assert alices.is_signed_in
    with time_machine.travel(timezone.now() + timedelta(days=14, seconds=1), tick=False):
        assert not alices.is_signed_in


def test_many_apps_cost_no_more_queries_than_one(alices, alice, django_assert_max_num_queries):
    for number in range(20):
        token_of(alice, hostname=f"host-{number}")
    with django_assert_max_num_queries(15):
        assert alices.get(PATH).content.count(b'/revoke"') == 20


def _sessions():
    from allauth.usersessions.models import UserSession  # noqa: PLC0415 - needs the app registry

    return UserSession.objects.order_by("pk")
