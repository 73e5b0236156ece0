"""GET /auth/dev-ui: a member is led to their machine with a token, and nobody anywhere else."""

import re
import uuid
from urllib.parse import quote

import jwt
import pytest
from django.test import Client

from accounts.models import AuditEvent, User
from clouddev.machine_tokens import Signer, Use
from clouddev.models import Machine, MachineToken, WebhookToken
from tests.accounts.browsing import Browser
from tests.clouddev.builders import add_member, make_machine

pytestmark = pytest.mark.django_db
PATH = "/auth/dev-ui"
NO_APP = "crayon-dev-00000000"
State = Machine.State


@pytest.fixture(autouse=True)
def _at_fly(settings):
    settings.FLY_APP_URL = "https://{app}.fly.dev"


@pytest.fixture
def studio(alice, bob):
    machine = make_machine(alice, "studio")
    add_member(machine, bob)
    return machine


def browser_of(person):
    client = Client(raise_request_exception=False)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def token_in(answer, machine):
    """The token that the answer leads to the machine with."""
    begin = f"https://{machine.fly_app_id}.fly.dev/dev/__auth/callback?token="
    assert answer.status_code == 302
    assert answer["Location"].startswith(begin)
    return answer["Location"].removeprefix(begin)


@pytest.mark.parametrize(
    "app",
    [
        None,
        "",
        NO_APP,
        "studio",
        "evil.example",
        "crayon-dev-01234567.evil.example",
        "//evil.example/",
        "x" * 5000,
    ],
)
def test_what_is_not_ours_and_what_is_not_theirs_is_one_and_the_same_page(charlie, studio, app):
    client = browser_of(charlie)
    asked = {} if app is None else {"app": app}
    theirs, absent = client.get(PATH, {"app": studio.fly_app_id}), client.get(PATH, asked)
    assert theirs.status_code == absent.status_code == 403
    assert "You may not use this workspace, or it doesn&#x27;t exist." in theirs.content.decode()
    assert _page(theirs) == _page(absent)
    assert _headers(theirs) == _headers(absent)
    assert "Location" not in theirs


def _page(answer):
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())


def _headers(answer):
    varying = {"X-Request-ID", "Expires", "Content-Length"}
    return {name: value for name, value in answer.headers.items() if name not in varying}


def test_a_removed_member_is_refused_at_once(bob, studio):
    studio.members.filter(user=bob).delete()
    assert browser_of(bob).get(PATH, {"app": studio.fly_app_id}).status_code == 403


def test_a_suspended_member_has_to_sign_in(bob, studio):
    client = browser_of(bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    answer = client.get(PATH, {"app": studio.fly_app_id})
    assert answer["Location"].startswith("/auth/sign-in?next=")


def test_head_leads_to_the_machine_without_a_token(alice, studio):
    answer = browser_of(alice).head(PATH, {"app": studio.fly_app_id})
    assert (answer.status_code, answer["Location"]) == (302, f"https://{studio.fly_app_id}.fly.dev/dev/__auth/callback")
    assert not MachineToken.objects.exists()


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_for_looking_only(alice, studio, method):
    assert getattr(browser_of(alice), method)(PATH, {"app": studio.fly_app_id}).status_code == 405


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (State.CREATING, "The workspace is still being made. Please try again when it is running."),
        (State.FAILED, "The workspace could not be made. Create it again."),
        (State.DESTROYING, "The workspace is being destroyed. Create it again in a minute."),
    ],
)
def test_one_that_is_not_there_says_so(alice, state, sentence):
    machine = make_machine(alice, "studio", state=state)
    answer = browser_of(alice).get(PATH, {"app": machine.fly_app_id})
    assert (answer.status_code, sentence in answer.content.decode()) == (409, True)


def test_without_a_key_to_sign_with_the_setting_is_named(alice, studio, settings):
    settings.DEV_UI_JWT_PRIVATE_KEY = ""
    answer = browser_of(alice).get(PATH, {"app": studio.fly_app_id})
    assert (answer.status_code, "DEV_UI_JWT_PRIVATE_KEY" in answer.content.decode()) == (503, True)


@pytest.mark.parametrize("login", ["alice", "bob"])
def test_owner_and_member_are_led_there_with_a_token_in_the_name_of_their_login(alice, bob, studio, login):
    person = {"alice": alice, "bob": bob}[login]
    answer = browser_of(person).get(PATH, {"app": studio.fly_app_id})
    public_key = Signer.from_settings().public_key_pem(escaped=False)
    claims = jwt.decode(token_in(answer, studio), public_key, algorithms=["EdDSA"])
    assert (claims["sub"], claims["app"], claims["login"]) == (str(person.pk), studio.fly_app_id, login)
    assert (claims["use"], claims["exp"] - claims["iat"]) == (Use.BROWSER, 24 * 3600)
    assert uuid.UUID(claims["jti"])
    assert not WebhookToken.objects.exists()


def test_no_cache_keeps_the_way_there_and_no_site_learns_it(alice, studio):
    answer = browser_of(alice).get(PATH, {"app": studio.fly_app_id})
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer.content == b""


def test_where_to_is_the_machines_own_address_whatever_else_is_asked(alice, studio):
    more = {"next": "https://evil.example", "token": "x", "host": "evil.example"}
    answer = browser_of(alice).get(
        PATH, {"app": studio.fly_app_id, **more}, headers={"X-Forwarded-Host": "evil.example"}
    )
    assert jwt.decode(token_in(answer, studio), options={"verify_signature": False})["app"] == studio.fly_app_id


def test_looking_leaves_nothing_but_a_note_of_the_last_use(alice, studio):
    Machine.objects.update(last_active_at=None)
    before = Machine.objects.values().get()
    client = browser_of(alice)
    events = AuditEvent.objects.count()
    client.get(PATH, {"app": studio.fly_app_id})
    after = Machine.objects.values().get()
    assert after.pop("last_active_at") is not None
    assert before.pop("last_active_at") is None
    assert (after, AuditEvent.objects.count()) == (before, events)


def test_whoever_is_not_signed_in_is_led_back_after_signing_in(sandbox, settings, studio):
    sandbox.settings(redirect_hosts=["testserver"])
    settings.FLY_APP_URL = "https://{app}.fly.dev"
    browser = Browser()
    asked = f"{PATH}?app={studio.fly_app_id}"
    answer = browser.get(asked)
    assert answer["Location"] == f"/auth/sign-in?next={quote(asked)}"
    back = browser.sign_in("octocat", next_path=asked)
    # A page, not a redirect: the chain of a form may not end on another host, as this one would.
    assert back.status_code == 200
    assert f'<meta http-equiv="refresh" content="0; url={asked}">' in back.content.decode()
    assert browser.get(asked).status_code == 403
    add_member(studio, User.objects.get(github_login="octocat"))
    led = browser.get(asked)
    assert jwt.decode(token_in(led, studio), options={"verify_signature": False})["login"] == "octocat"
