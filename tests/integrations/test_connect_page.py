"""GET and POST /connect/: the page between a tool's link and Nango's, for the person whose tool asked."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from django.test import Client
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, Membership
from accounts.services import users
from integrations.models import Connection, ConnectLink
from integrations.services import connect_links
from tests.accounts.threads import at_once
from tests.integrations.conftest import own

pytestmark = pytest.mark.django_db
ASK = "/api/nango/connect-session"
GONE = "This link does not work here"


def browser_of(user=None):
    client = Client(raise_request_exception=False, HTTP_HOST="testserver")
    if user:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def link(alice_api, sandbox):
    """The link that alice's tool shows her."""
    return alice_api.post(ASK, {"integration_id": "acme"}).json()["data"]["connectLink"]


def look(browser, link):
    return browser.get(link.removeprefix("http://testserver"))


def press(browser, link):
    (token,) = parse_qs(urlsplit(link).query)["link"]
    return browser.post("/connect/", {"link": token})


def words_of(page):
    """The page without what is another each time: the form's token and the request's id."""
    return re.sub(r'value="\w+"|[0-9a-f]{16}', "", page.content.decode())


def sessions(sandbox):
    return list(sandbox.state()["nango"]["sessions"])


def test_the_link_is_to_a_page_of_ours_and_nothing_of_nangos_is_in_the_answer(alice_api, sandbox):
    answer = alice_api.post(ASK, {"integration_id": "acme"})
    data = answer.json()["data"]

    assert set(data) == {"token", "connectLink", "expiresAt"}
    assert data["connectLink"] == f"http://testserver/connect/?link={data['token']}"
    (nangos,) = sessions(sandbox)
    assert nangos not in answer.content.decode()
    posted = urllib3.request("POST", f"{sandbox.nango_url}/connect/?session_token={data['token']}", body="api_key=k")
    assert posted.status == 401


def test_the_page_says_for_whom_and_who_asked_and_changes_nothing(alice, link, sandbox):
    page = look(browser_of(alice), link)
    html = page.content.decode()

    assert page.status_code == 200
    for words in ("testserver", "alice", "alice@example.com", "crayon CLI on laptop", "acme", "Go on"):
        assert words in html
    assert sessions(sandbox)[0] not in html
    assert ConnectLink.objects.get().used_at is None
    assert "no-store" in page["Cache-Control"]
    assert f"form-action 'self' {sandbox.url};" in page["Content-Security-Policy"]


def test_the_page_calls_the_service_by_its_name_where_the_list_is_at_hand_and_asks_nango_nothing(
    alice, alice_api, sandbox, calls, settings
):
    settings.INTEGRATIONS_CACHE_SECONDS = 60
    link = alice_api.post(ASK, {"integration_id": "salesforce"}).json()["data"]["connectLink"]
    before = calls()
    by_id = " ".join(look(browser_of(alice), link).content.decode().split())
    assert calls() == before
    assert "<h1>Connect <bdi>salesforce</bdi>?</h1>" in by_id
    assert "<dt>Integration</dt>" not in by_id

    alice_api.get("/api/integrations")
    before = calls()
    by_name = " ".join(look(browser_of(alice), link).content.decode().split())
    assert calls() == before
    assert "<h1>Connect <bdi>Salesforce</bdi>?</h1>" in by_name
    # Two may be called the same, so that the id is told, too.
    assert "<dt>Integration</dt> <dd><bdi>salesforce</bdi></dd>" in by_name


def test_the_page_calls_a_service_that_the_list_does_not_have_by_its_id(alice, alice_api, sandbox, settings):
    settings.INTEGRATIONS_CACHE_SECONDS = 60
    link = alice_api.post(ASK, {"integration_id": "acme"}).json()["data"]["connectLink"]
    sandbox.control("DELETE", "/nango/integrations/acme")
    alice_api.get("/api/integrations")

    assert "<h1>Connect <bdi>acme</bdi>?</h1>" in look(browser_of(alice), link).content.decode()


def test_the_button_leads_to_nangos_page_on_which_the_account_is_connected(alice, alice_api, link, sandbox):
    answer = press(browser_of(alice), link)

    (nangos,) = sessions(sandbox)
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert (answer.status_code, asked) == (302, {"session_token": [nangos], "apiURL": [sandbox.nango_url]})
    assert urllib3.request("GET", answer["Location"]).status == 200
    sandbox.press_connect(api_key="k")
    assert len(alice_api.get("/api/integrations/acme/connections").json()["data"]) == 1
    event = AuditEvent.objects.get(action="connect_link.followed")
    token = AccessToken.objects.get()
    assert (event.actor_id, event.target_id) == (alice.pk, "acme")
    assert event.details == {"connection_id": "", "asked_with": str(token.pk)}


def test_somebody_else_who_opens_it_learns_nothing_and_connects_nothing(bob, link, sandbox):
    browser = browser_of(bob)
    unknown = look(browser, "/connect/?link=" + "0" * 64)

    for answer in (look(browser, link), press(browser, link)):
        assert (answer.status_code, words_of(answer)) == (404, words_of(unknown))
        assert (GONE in answer.content.decode(), "lice" in answer.content.decode()) == (True, False)
    assert ConnectLink.objects.get().used_at is None


def test_nobody_is_asked_to_sign_in_and_comes_back(link):
    for answer in (look(browser_of(), link), press(browser_of(), link)):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/auth/sign-in?next=/connect/")


def test_it_works_once(alice, link):
    browser = browser_of(alice)
    assert press(browser, link).status_code == 302

    for answer in (press(browser, link), look(browser, link)):
        assert (answer.status_code, GONE in answer.content.decode()) == (404, True)
    assert AuditEvent.objects.filter(action="connect_link.followed").count() == 1


def test_using_a_link_leaves_others_good(alice, alice_api, link):
    other = alice_api.post(ASK, {"integration_id": "acme"}).json()["data"]["connectLink"]
    browser = browser_of(alice)

    assert [press(browser, each).status_code for each in (link, other, link)] == [302, 302, 404]


def _over(_alice):
    ConnectLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def _signed_out(_alice):
    AccessToken.objects.update(revoked_at=timezone.now())


def _left(alice):
    Membership.objects.filter(user=alice).delete()


def _organization_suspended(alice):
    alice.personal_organization.suspended_at = timezone.now()
    alice.personal_organization.save()


@pytest.mark.parametrize("end", [_over, _signed_out, _left, _organization_suspended])
def test_it_ends_with_its_time_and_with_its_tools_access(alice, link, end):
    browser = browser_of(alice)
    assert look(browser, link).status_code == 200
    end(alice)

    for answer in (look(browser, link), press(browser, link)):
        assert (answer.status_code, GONE in answer.content.decode()) == (404, True)


def test_a_suspended_person_gets_no_further(alice, link):
    browser = browser_of(alice)
    users.suspend(user=alice, by=None)

    for answer in (look(browser, link), press(browser, link)):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/auth/sign-in")
    alice.refresh_from_db()
    with pytest.raises(connect_links.NoSuchLink):
        connect_links.find(token=link.rpartition("=")[2], user=alice, now=timezone.now())


@pytest.mark.parametrize("token", ["", "x", "\0", "é" * 9000, "0" * 64])
def test_what_is_no_link_is_not_there(alice, token):
    answer = browser_of(alice).post("/connect/", {"link": token})

    assert answer.status_code in {400, 404}


def test_the_button_wants_a_csrf_token(alice, link):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")

    assert press(browser, link).status_code == 403
    assert ConnectLink.objects.get().used_at is None


def test_a_link_to_reconnect_names_the_connection(alice, alice_api, connect, sandbox):
    own(alice, connect(alice, connection_id="main"))
    asked = {"integration_id": "acme", "connection_id": "main"}
    link = alice_api.post(ASK, asked).json()["data"]["connectLink"]

    html = look(browser_of(alice), link).content.decode()
    assert ("Reconnect" in html, "<bdi>main</bdi>" in html) == (True, True)
    assert press(browser_of(alice), link).status_code == 302
    sandbox.press_connect(api_key="renewed")
    assert Connection.objects.count() == 1


def test_neither_token_is_kept_as_it_is(link, sandbox):
    row = ConnectLink.objects.get()
    kept = bytes(row.digest) + bytes(row.sealed_link)

    for token in (link.rpartition("=")[2], *sessions(sandbox)):
        assert token.encode() not in kept


@pytest.mark.django_db(transaction=True)
def test_of_two_presses_at_once_one_goes_on(alice, alice_api, sandbox):
    link = alice_api.post(ASK, {"integration_id": "acme"}).json()["data"]["connectLink"]
    browsers = [browser_of(alice) for _ in range(4)]

    answers = at_once(*[lambda browser=browser: press(browser, link).status_code for browser in browsers])
    assert sorted(answers) == [302, 404, 404, 404]


def test_links_whose_time_is_over_are_forgotten(link):
    assert connect_links.forget_old(now=timezone.now()) == 0
    assert connect_links.forget_old(now=timezone.now() + timedelta(minutes=31)) == 1
