"""An operator's form that comes after the session ended: they sign in and are back at its page; nothing was done."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import AuditEvent, User
from tests.access.admin_table import ADMIN
from tests.access.fixtures import Scene, row_of
from tests.operators import PASSWORD, make_operator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_hashing")]
PEOPLE = "/admin/accounts/user/"
LOST = "You were signed out before this form arrived, so nothing was changed. Sign in, and send it again."
TOO_OLD = "This form was too old, and nothing was done. Try again."


@pytest.fixture
def operator(db):
    return make_operator(password=PASSWORD)


@pytest.fixture
def browser(operator):
    """The operator's browser, which checks forms as a real one's are."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


def token_on(answer):
    return re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.content.decode())[0]


def end_session(client):
    del client.cookies[settings.SESSION_COOKIE_NAME]


def sign_in(client, address):
    page = client.get(address)
    form = {"csrfmiddlewaretoken": token_on(page), "username": "operator", "password": PASSWORD}
    form["next"] = parse_qs(urlsplit(address).query)["next"][0]
    return page, client.post(address, form)


def forms(alice):
    return {
        "an action": (f"{PEOPLE}{alice.pk}/suspend_one/", {}),
        "a bulk action": (
            f"{PEOPLE}?q=alice",
            {"action": "suspend_selected", "_selected_action": str(alice.pk), "post": "yes"},
        ),
        "a change": (f"{PEOPLE}{alice.pk}/change/", {"is_active": ""}),
        "an own password": ("/admin/password_change/", {"old_password": PASSWORD}),
    }


@pytest.mark.parametrize("rotated", [False, True], ids=["same form token", "other form token"])
@pytest.mark.parametrize("kind", ["an action", "a bulk action", "a change", "an own password"])
def test_signing_in_again_leads_to_the_page_of_the_form_and_nothing_was_done(browser, alice, kind, rotated):
    path, form = forms(alice)[kind]
    token = token_on(browser.get(path))
    end_session(browser)
    if rotated:
        browser.cookies[settings.CSRF_COOKIE_NAME] = "b" * 32
    before = AuditEvent.objects.count()
    sent = browser.post(path, {**form, "csrfmiddlewaretoken": token}, headers={"Referer": f"http://testserver{path}"})
    assert (sent.status_code, urlsplit(sent["Location"]).path) == (302, "/admin/login/")
    page, answer = sign_in(browser, sent["Location"])
    assert page.content.decode().count(LOST) == 1
    assert (answer.status_code, answer["Location"]) == (302, path)
    assert browser.get(path).status_code == 200
    assert User.objects.get(pk=alice.pk).is_active
    assert AuditEvent.objects.exclude(action="operator.signed_in").count() == before


def test_no_form_of_the_admin_leads_to_an_address_that_wants_a_post(operator, sandbox):
    scene = Scene(sandbox)
    looked_at = {visit.path for visits in ADMIN.values() for visit in visits if visit.method == "GET"}
    odd = []
    for path in {visit.path for visits in ADMIN.values() for visit in visits} - {"/admin/login/"}:
        address = scene.say(path, **{"{object}": row_of(path, scene)})
        sent = Client(raise_request_exception=False).post(address)
        back = parse_qs(urlsplit(sent["Location"]).query).get("next", [""])[0]
        if path not in looked_at:
            odd.append((address, back))
        elif path != "/admin":
            assert back == address
    # Signing out is the only form without a page at its address.
    assert odd == [("/admin/logout/", "/admin/")]


def test_a_dialog_of_a_script_leads_the_whole_page_to_the_sign_in(browser, alice):
    path, on = f"{PEOPLE}{alice.pk}/suspend_one/", f"{PEOPLE}{alice.pk}/change/"
    token = token_on(browser.get(path))
    end_session(browser)
    headers = {"HX-Request": "true", "Referer": f"http://testserver{on}"}
    asked = browser.get(path, headers=headers)
    sent = browser.post(path, {"csrfmiddlewaretoken": token}, headers=headers)
    for answer in (asked, sent):
        assert (answer.status_code, answer["HX-Redirect"]) == (200, f"/admin/login/?next={on}")
        assert "Location" not in answer
    assert sign_in(browser, sent["HX-Redirect"])[1]["Location"] == on
    assert User.objects.get(pk=alice.pk).is_active


def test_a_form_from_before_another_sign_in_says_so_and_leads_to_its_page(browser, alice):
    path = f"{PEOPLE}{alice.pk}/suspend_one/"
    headers = {"Referer": f"http://testserver{path}"}
    stale = {"csrfmiddlewaretoken": "a" * 64}
    browser.get(path)
    refused = browser.post(path, stale, headers=headers)
    assert (refused.status_code, f'href="{path}">Load the page again<' in refused.content.decode()) == (403, True)
    refused = browser.post(path, stale, headers={**headers, "HX-Request": "true"})
    assert (refused.status_code, refused["HX-Redirect"]) == (403, path)
    assert [str(message) for message in get_messages(refused.wsgi_request)] == [TOO_OLD]
    assert User.objects.get(pk=alice.pk).is_active


def test_a_form_from_another_site_leads_nowhere(browser, alice):
    end_session(browser)
    path = f"{PEOPLE}{alice.pk}/suspend_one/"
    for origin in ("https://evil.example.com", "null"):
        answer = browser.post(path, headers={"Origin": origin})
        assert (answer.status_code, "Location" in answer) == (403, False)


def test_the_sign_in_page_leads_an_operator_on_who_is_signed_in_already(browser):
    assert browser.get(f"/admin/login/?next={PEOPLE}")["Location"] == PEOPLE
    assert browser.get("/admin/login/?next=https://evil.example.com/")["Location"] == "/admin/"


def test_many_forms_of_a_stranger_leave_one_sentence(db):
    stranger = Client()
    for _ in range(3):
        address = stranger.post("/account/revoke-all")["Location"]
    assert address == "/auth/sign-in?next=/account/apps"
    assert stranger.get(address).content.decode().count(LOST) == 1
    assert LOST not in stranger.get(address).content.decode()
