"""Signing in with GitHub, gone wrong: nobody is signed in, and no trace of a person is left."""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from allauth.socialaccount.internal import statekit

from accounts.models import AuditEvent, Membership, Organization, User
from tests.accounts.browsing import Browser, asked_of_github, form_of, text_of
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db
NOT_CONFIRMED = "GitHub did not confirm who you are. Please try to sign in again in a moment."
TOO_SLOW = "GitHub did not answer in time. Please try to sign in again in a moment."
REFUSED = "GitHub refuses this server, and trying again won't change that. Tell an operator of this server"
WRONG_SETTINGS = "GitHub doesn't accept this server's GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET"
LOST = "This sign-in took too long or began in another browser. Please start again."
ELSEWHERE, AGAIN = "/deployments/?page=2", "/auth/sign-in?next=%2Fdeployments%2F%3Fpage%3D2"
TOKEN, USER, EMAILS = "POST /login/oauth/access_token", "GET /user$", "GET /user/emails"


def ways_on(page):
    """Where the page's "Sign in again" leads."""
    return re.findall(r'<a class="button primary" href="([^"]*)">Sign in again</a>', page.content.decode())


@pytest.fixture
def nobody_came_in(browser):
    """Afterwards nobody is signed in, and there is no trace of a person."""
    yield
    assert not browser.is_signed_in
    for model in (User, Organization, Membership, AuditEvent):
        assert not model.objects.exists()


@pytest.mark.usefixtures("nobody_came_in")
def test_a_callback_that_this_browser_did_not_begin_is_refused(github, browser):
    back = Browser().approve_at_github(browser.go_to_github(next_path=ELSEWHERE), login="alice")
    page = Browser().client.get(back)
    assert (page.status_code, LOST in text_of(page)) == (400, True)
    # The link may be somebody else's, so it says nothing about where to go on to.
    assert ways_on(page) == ["/auth/sign-in"]


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("state", ["", "&state=", "&state=x", "&state=" + "x" * 4000])
def test_a_callback_without_its_state_is_refused(github, browser, state):
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    page = browser.client.get(f"{back.partition('?')[0]}?code={asked_of_github(back)['code']}{state}")
    assert (page.status_code, LOST in text_of(page), ways_on(page)) == (400, True, ["/auth/sign-in"])


@pytest.mark.usefixtures("nobody_came_in")
def test_who_came_back_too_late_begins_again_and_is_where_they_wanted_to_go(github, browser, monkeypatch):
    back = browser.approve_at_github(browser.go_to_github(next_path=ELSEWHERE), login="alice")
    monkeypatch.setattr(statekit, "STATE_TTL", -1)
    for _ in range(2):  # however often it is loaded
        page = browser.client.get(back)
        assert (page.status_code, LOST in text_of(page), ways_on(page)) == (400, True, [AGAIN])
    monkeypatch.undo()
    assert form_of(browser.client.get(AGAIN), "/auth/github")["next"] == ELSEWHERE
    other = browser.client.get(f"{back}0")
    assert (other.status_code, ways_on(other)) == (400, ["/auth/sign-in"])


def test_who_begins_again_after_a_failed_sign_in_comes_to_where_they_wanted_to_go(github, browser):
    github.faults(target="github", match=USER, status=500)
    back = browser.approve_at_github(browser.go_to_github(next_path=ELSEWHERE), login="alice")
    failed, reloaded = browser.client.get(back), browser.client.get(back)
    assert [(page.status_code, ways_on(page)) for page in (failed, reloaded)] == [(502, [AGAIN]), (400, [AGAIN])]
    asked = browser.press(browser.client.get(AGAIN), "/auth/github")["Location"]
    answer = browser.client.get(browser.approve_at_github(asked, login="alice"))
    assert (answer.status_code, answer["Location"]) == (302, ELSEWHERE)


@pytest.mark.parametrize("wanted", ["https://evil.example.com/", "//evil.example.com/", "/\\evil.example.com"])
def test_no_way_on_leads_away(github, browser, wanted):
    page = browser.client.get(browser.approve_at_github(browser.go_to_github(next_path=wanted), cancel="1"))
    assert ways_on(page) == ["/auth/sign-in?next=%2Fworkspaces%2F"]


@pytest.mark.usefixtures("nobody_came_in")
def test_a_code_of_another_sign_in_is_refused(github, browser):
    others = Browser()
    code = asked_of_github(others.approve_at_github(others.go_to_github(), login="alice"))["code"]
    mine = browser.approve_at_github(browser.go_to_github(), login="bob")
    page = browser.client.get(mine.replace(asked_of_github(mine)["code"], code))
    assert (page.status_code, NOT_CONFIRMED in text_of(page)) == (502, True)


@pytest.mark.usefixtures("nobody_came_in")
def test_a_code_that_came_too_late_is_refused(github, browser):
    github.settings(github_code_seconds=0)
    page = browser.sign_in("alice")
    assert (page.status_code, NOT_CONFIRMED in text_of(page)) == (502, True)


@pytest.mark.usefixtures("nobody_came_in")
def test_who_cancels_at_github_reads_that_nothing_was_changed(github, browser):
    page = browser.client.get(browser.approve_at_github(browser.go_to_github(next_path=ELSEWHERE), cancel="1"))
    assert (page.status_code, ways_on(page)) == (400, [AGAIN])
    assert "You canceled the sign-in at GitHub. Nothing was changed." in text_of(page)


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("leg", [TOKEN, USER, EMAILS])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 401},
        {"status": 403, "headers": {"Retry-After": "60"}},
        {"status": 403, "headers": {"X-RateLimit-Remaining": "0"}},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        {"drop": "before"},
        {"drop": "after"},
        {"status": 200, "body": "<html>Unicorn!</html>", "content_type": "text/html"},
        {"status": 200, "body": "", "content_type": "application/json"},
        {"status": 200, "body": "[" * 100_000, "content_type": "application/json"},
    ],
    ids=lambda fault: "-".join(str(value)[:8] for value in fault.values()),
)
def test_github_failing_at_any_leg_signs_nobody_in(github, browser, leg, fault):
    github.faults(target="github", match=leg, times=0, **fault)
    page = browser.sign_in("alice")
    assert (page.status_code, NOT_CONFIRMED in text_of(page)) == (502, True)
    assert "Unicorn" not in text_of(page)


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("leg", [TOKEN, USER, EMAILS])
@pytest.mark.parametrize("status", [403, 404])
def test_what_github_refuses_for_good_is_told_as_such_and_logged_with_path_and_status(
    github, browser, leg, status, caplog
):
    github.faults(target="github", match=leg, times=0, status=status)
    page = browser.sign_in("alice")
    assert (page.status_code, REFUSED in text_of(page), "again in a moment" in text_of(page)) == (502, True, False)
    assert ways_on(page) == []
    path = leg.split()[1].rstrip("$")
    assert f"sign-in failed: SignInRefused: GitHub answered {status} for {path}" in caplog.text


@pytest.mark.usefixtures("nobody_came_in")
def test_a_wrong_client_secret_is_named_and_never_shown(github, browser, settings, caplog):
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    provider = settings.SOCIALACCOUNT_PROVIDERS["github"]
    wrong = {**provider["APP"], "secret": "wrong-7f3a"}
    settings.SOCIALACCOUNT_PROVIDERS = {"github": {**provider, "APP": wrong}}
    page = browser.client.get(back)
    assert (page.status_code, WRONG_SETTINGS in text_of(page), ways_on(page)) == (503, True, [])
    assert "200 for /login/oauth/access_token with incorrect_client_credentials" in caplog.text
    assert "wrong-7f3a" not in caplog.text + text_of(page)


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        ("redirect_uri_mismatch", 503, "GitHub has another callback for this server's application"),
        ("application_suspended", 502, "GitHub refuses this server"),
    ],
)
def test_an_application_that_github_does_not_let_ask_is_told_as_such(github, browser, error, status, sentence):
    state = asked_of_github(browser.go_to_github())["state"]
    page = browser.client.get("/api/auth/github/callback", {"error": error, "state": state})
    assert (page.status_code, sentence in text_of(page)) == (status, True)


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("name", ["a token: ghp_1", "X" * 2000, ["a"], "bad\nline"], ids=repr)
def test_nothing_that_github_writes_reaches_the_log_as_it_is(github, browser, name, caplog):
    github.faults(
        target="github", match=TOKEN, status=200, body=json.dumps({"error": name}), content_type="application/json"
    )
    assert browser.sign_in("alice").status_code == 502
    assert "with no error's name in place of an access token" in caplog.text


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("leg", [TOKEN, USER, EMAILS])
def test_github_being_slow_at_any_leg_signs_nobody_in(github, browser, leg, monkeypatch):
    monkeypatch.setattr("accounts.github_provider._SECONDS", 0.5)
    github.faults(target="github", match=leg, delay=1)
    page = browser.sign_in("alice")
    assert (page.status_code, TOO_SLOW in text_of(page)) == (504, True)


@pytest.mark.usefixtures("nobody_came_in")
def test_a_github_that_is_slow_at_each_leg_has_its_time_in_all(github, browser, monkeypatch):
    monkeypatch.setattr("accounts.github_provider._SECONDS", 1.0)
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    github.faults(target="github", delay=0.5, times=0)
    with Stopwatch() as watch:
        page = browser.client.get(back)
    assert (page.status_code, TOO_SLOW in text_of(page)) == (504, True)
    assert watch.seconds > 0.9
    assert watch.at_ease < 3


@contextmanager
def dripping(answer):
    """A server on loopback that gives everybody this answer, a byte every 0.1 seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    for number in range(len(answer)):
                        connection.sendall(answer[number : number + 1])
                        time.sleep(0.1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.usefixtures("nobody_came_in")
def test_a_github_that_drips_signs_nobody_in(github, browser, settings, monkeypatch):
    monkeypatch.setattr("accounts.github_provider._SECONDS", 1.0)
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    profile = b"Content-Type: application/json\r\nContent-Length: 28\r\n\r\n" + b'{"id": 1001, "login": "al"} '
    with dripping(b"HTTP/1.1 200 OK\r\n" + profile) as settings.GITHUB_API_URL, Stopwatch() as watch:
        page = browser.client.get(back)
    assert (page.status_code, TOO_SLOW in text_of(page)) == (504, True)
    assert watch.at_ease < 1.4


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize("leg", [TOKEN, USER, EMAILS])
def test_an_answer_that_is_too_long_signs_nobody_in(github, browser, leg):
    endless = '{"login": "%s"}' % ("a" * (1 << 20))
    github.faults(target="github", match=leg, status=200, body=endless, content_type="application/json", times=0)
    page = browser.sign_in("alice")
    assert (page.status_code, NOT_CONFIRMED in text_of(page)) == (502, True)


@pytest.mark.usefixtures("nobody_came_in")
def test_github_being_away_signs_nobody_in(github, browser, settings):
    back = browser.approve_at_github(browser.go_to_github(), login="alice")
    settings.GITHUB_URL = "http://127.0.0.1:1/github"
    assert browser.client.get(back).status_code == 502


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize(
    "profile",
    [
        {},
        [],
        [{"id": 1001, "login": "alice"}],
        None,
        "alice",
        {"login": "alice"},
        {"id": None, "login": "alice"},
        {"id": "1001", "login": "alice"},
        {"id": 0, "login": "alice"},
        {"id": -1, "login": "alice"},
        {"id": True, "login": "alice"},
        {"id": 1.5, "login": "alice"},
        {"id": 2**63, "login": "alice"},
        {"id": 1001},
        {"id": 1001, "login": ""},
        {"id": 1001, "login": None},
        {"id": 1001, "login": ["alice"]},
        {"id": 1001, "login": "a\x00b"},
        {"id": 1001, "login": "<b>alice</b>"},
        {"id": 1001, "login": "a" * 200},
        {"message": "Bad credentials"},
    ],
    ids=repr,
)
def test_a_profile_without_a_proper_id_and_login_is_nobodys(github, browser, profile):
    github.faults(
        target="github", match=USER, status=200, body=json.dumps(profile), content_type="application/json", times=0
    )
    page = browser.sign_in("alice")
    assert (page.status_code, NOT_CONFIRMED in text_of(page)) == (502, True)


@pytest.mark.usefixtures("nobody_came_in")
@pytest.mark.parametrize(
    "answer", [{}, [], None, {"error": "bad_verification_code"}, {"access_token": None}, {"access_token": 7}], ids=repr
)
def test_a_token_answer_without_a_token_signs_nobody_in(github, browser, answer):
    github.faults(target="github", match=TOKEN, status=200, body=json.dumps(answer), content_type="application/json")
    assert browser.sign_in("alice").status_code == 502
