"""Code and PKCE: a person's consent becomes tokens for the client that asked, once."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import time_machine
from django.utils import timezone

from accounts.bearer import InvalidToken
from accounts.models import AuditEvent, AuthorizationCode, Consent, Login, Membership, RefreshToken
from accounts.oauth import access_tokens
from accounts.services import users
from tests.accounts.browsing import text_of
from tests.accounts.oauth.flows import LOOPBACK, WEB, Flow, claims_of, make_client, press, told
from tests.conftest import make_person

pytestmark = pytest.mark.django_db


def works(token):
    try:
        return bool(access_tokens.principal_of_jwt(token, now=timezone.now()))
    except InvalidToken:
        return False


def test_consent_becomes_tokens(flow, alices, alice):
    answer = flow.redeem(flow.allow(alices)["code"])
    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert set(body) == {"access_token", "expires_in", "token_type", "scope", "refresh_token", "id_token"}
    assert (body["expires_in"], body["token_type"], body["scope"]) == (300, "Bearer", flow.scope)
    claims = claims_of(body["access_token"])
    assert (claims["sub"], claims["client_id"], claims["aud"]) == (str(alice.pk), "notes", "crayon")
    assert claims["org"]["slug"] == "alice"
    login = Login.objects.get()
    assert (login.label, login.address, str(login.pk)) == ("Notes", "127.0.0.1", claims["sid"])
    who = access_tokens.principal_of_jwt(body["access_token"], now=timezone.now())
    assert who.scopes == frozenset({"connections:read"})


def test_the_id_token_says_who_signed_in(flow, alices, alice):
    flow.verifier = "v" * 50
    body = flow.redeem(flow.allow(alices, nonce="n-0S6_WzA2Mj")["code"]).json()
    claims = claims_of(body["id_token"])
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("http://testserver", "notes", str(alice.pk))
    assert (claims["nonce"], claims["name"], claims["email"]) == ("n-0S6_WzA2Mj", "Alice", "alice@example.com")
    assert jwt.get_unverified_header(body["id_token"])["typ"] == "JWT"
    assert not works(body["id_token"])


def test_the_browser_goes_back_with_state_and_issuer(flow, alices):
    said = flow.allow(alices)
    assert set(said) == {"code", "state", "iss"}
    assert (said["state"], said["iss"]) == (flow.state, "http://testserver")


def test_deny_goes_back_without_a_code(flow, alices):
    address = flow.address()
    page = alices.get(address)
    said = told(press(alices, page, address, decision="deny"))
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", flow.state, "http://testserver")
    assert not AuthorizationCode.objects.exists()
    assert not Consent.objects.exists()


def test_a_form_without_its_token_lets_nobody_in(flow, alices):
    alices.get(flow.address())
    answer = alices.client.post(flow.address(), {"decision": "allow", "organization": "alice"})
    assert answer.status_code == 403
    assert not AuthorizationCode.objects.exists()


def test_somebody_not_signed_in_signs_in_first_and_comes_back(flow, browser):
    answer = browser.get(flow.address())
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer["Location"]).query)["next"] == [flow.address()]


def test_the_page_says_who_asks_for_what_where(flow, alices):
    page = alices.get(flow.address())
    text = text_of(page)
    for words in ("Let Notes in?", "app.example.com", "see integrations and which accounts are connected", "alice"):
        assert words in text
    assert "form-action 'self' https://app.example.com" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert page["Cache-Control"].startswith("max-age=0")


def test_the_page_warns_of_a_client_nobody_has_looked_at(alices):
    make_client(client_id="strange", name="GitHub", is_verified=False)
    text = text_of(alices.get(Flow(client_id="strange", redirect_uri=LOOPBACK).address()))
    assert "as it calls itself" in text
    assert "Nobody on this server has looked at this application" in text
    assert "a program on this computer" in text


def test_a_code_works_once_and_a_second_use_ends_the_login(flow, alices):
    code = flow.allow(alices)["code"]
    body = flow.redeem(code).json()
    assert works(body["access_token"])
    again = flow.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert not works(body["access_token"])
    assert flow.refresh(body["refresh_token"]).json()["error"] == "invalid_grant"
    event = AuditEvent.objects.get(action="login.ended")
    assert event.details == {"why": "its code was used twice"}


def test_a_code_expires_after_a_minute(flow, alices):
    code = flow.allow(alices)["code"]
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False):
        assert flow.redeem(code).json()["error"] == "invalid_grant"
    assert not Login.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 50},
        {"code_verifier": None},
        {"redirect_uri": LOOPBACK},
        {"code": "unknown"},
    ],
)
def test_a_wrong_redemption_yields_nothing(flow, alices, changed):
    code = flow.allow(alices)["code"]
    answer = flow.redeem(**{"code": code, **changed})
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "invalid_request"}
    assert not Login.objects.exists()


def test_another_client_can_not_redeem_it(flow, alices):
    make_client(client_id="other")
    code = flow.allow(alices)["code"]
    assert flow.redeem(code, client_id="other").json()["error"] == "invalid_grant"
    assert flow.redeem(code).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"resource": "https://evil.example/"}, "invalid_target"),
        ({"resource": "not an address"}, "invalid_target"),
    ],
)
def test_a_request_that_can_not_be_is_sent_back_at_once(flow, alices, changed, error):
    said = told(alices.get(flow.address(**changed)))
    assert said["iss"] == "http://testserver"
    assert said["error"] in {error, "unauthorized_client"}
    assert said.get("state") == flow.state


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": WEB + "/more"},
        {"redirect_uri": WEB + "?more=1"},
        {"redirect_uri": "https://app.example.com:444/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://localhost/callback"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(flow, alices, changed):
    answer = alices.get(flow.address(**changed))
    assert answer.status_code == 400
    assert "Location" not in answer
    assert "is not known to this server" in text_of(answer)


@pytest.mark.parametrize("port", [":1", ":50123", ":65535", ""])
def test_a_loopback_address_may_have_any_port(flow, alices, port):
    flow.redirect_uri = f"http://127.0.0.1{port}/callback"
    assert flow.sign_in(alices)["access_token"]


def test_agreement_is_remembered_for_a_client_that_can_not_be_pretended(flow, alices):
    flow.sign_in(alices)
    assert "code" in told(alices.get(flow.address()))
    assert alices.get(flow.address(prompt="consent")).status_code == 200
    assert alices.get(flow.address(scope="openid connections:use")).status_code == 200
    assert alices.get(flow.address(redirect_uri=LOOPBACK)).status_code == 200


def test_agreement_to_an_unverified_client_is_asked_for_each_time(alices):
    make_client(client_id="strange", is_verified=False)
    flow = Flow(client_id="strange")
    flow.sign_in(alices)
    for changed in ({}, {"approval_prompt": "auto"}):
        assert alices.get(flow.address(**changed)).status_code == 200


def test_ending_the_app_takes_the_agreement_back(flow, alices, signed_in):
    page = alices.get("/account/apps")
    login = Login.objects.get(client__client_id="notes")
    answer = alices.press(page, f"/account/logins/{login.pk}/end")
    assert answer["Location"] == "/account/apps"
    assert not works(signed_in["access_token"])
    assert flow.refresh(signed_in["refresh_token"]).json()["error"] == "invalid_grant"
    assert alices.get(flow.address()).status_code == 200


def test_a_silent_request_is_answered_without_a_page(flow, alices, browser):
    assert told(browser.get(flow.address(prompt="none")))["error"] == "login_required"
    assert told(alices.get(flow.address(prompt="none")))["error"] == "consent_required"
    flow.sign_in(alices)
    assert "code" in told(alices.get(flow.address(prompt="none")))


def test_a_person_chooses_the_organization(flow, alices, alice):
    team = make_person("team").personal_organization
    team.personal_for = None
    team.save()
    Membership.objects.create(organization=team, user=alice, role="admin")
    address = flow.address()
    page = alices.get(address)
    answer = press(alices, page, address, decision="allow", organization="team")
    claims = claims_of(flow.redeem(told(answer)["code"]).json()["access_token"])
    assert (claims["org"]["slug"], claims["org"]["role"]) == ("team", "admin")


def test_nobody_chooses_an_organization_that_is_not_theirs(flow, alices):
    make_person("team")
    address = flow.address()
    page = alices.get(address)
    answer = press(alices, page, address, decision="allow", organization="team")
    assert answer.status_code == 400
    assert not AuthorizationCode.objects.exists()


def test_a_token_is_for_the_resource_that_was_asked_for(flow, alices):
    body = flow.sign_in(alices, resource="http://testserver/api")
    assert claims_of(body["access_token"])["aud"] == "http://testserver/api"
    wider = flow.refresh(body["refresh_token"], resource="http://testserver")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_target")


def test_several_resources_can_be_narrowed_later(flow, alices, settings):
    settings.OAUTH_RESOURCES = ["https://flovyn.example"]
    both = ["http://testserver/api", "https://flovyn.example"]
    code = flow.allow(alices, resource=both)["code"]
    body = flow.redeem(code, resource="https://flovyn.example").json()
    assert claims_of(body["access_token"])["aud"] == "https://flovyn.example"
    assert not works(body["access_token"])
    assert claims_of(flow.refresh(body["refresh_token"]).json()["access_token"])["aud"] == both


def test_somebody_whose_access_ended_meanwhile_gets_no_login(flow, alices, alice):
    code = flow.allow(alices)["code"]
    users.revoke_everything(user=alice, by=None, now=timezone.now())
    assert flow.redeem(code).json()["error"] == "invalid_grant"
    assert not Login.objects.exists()


def test_a_confidential_client_needs_its_secret(alices):
    make_client(client_id="server", client_type="confidential", client_secret="visibly-fake-client-secret")
    flow = Flow(client_id="server", secret="visibly-fake-client-secret")
    assert flow.sign_in(alices)["access_token"]
    flow.secret = "wrong"
    code = flow.allow(alices, prompt="consent")["code"]
    answer = flow.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.has_header("WWW-Authenticate")


def test_a_client_that_is_switched_off_is_nobody(flow, alices, notes):
    body = flow.sign_in(alices)
    notes.disabled_at = timezone.now()
    notes.save()
    assert alices.get(flow.address()).status_code == 400
    assert flow.refresh(body["refresh_token"]).status_code == 401


def test_only_a_post_is_answered(flow, signed_in):
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        answer = flow.http.get(path)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_other_grants_are_not_offered(flow, alice):
    alice.set_password("not-a-secret-of-anybody")
    alice.save()
    password = {"username": "alice", "password": "not-a-secret-of-anybody"}
    assert flow.form("/oauth/token", grant_type="password", **password).status_code in {400, 401}
    assert flow.form("/oauth/token", grant_type="client_credentials").status_code in {400, 401}
    assert flow.form("/oauth/token", grant_type="urn:example:unknown").status_code == 400
    assert not Login.objects.exists()


def test_nothing_that_was_handed_out_is_in_the_tables(flow, alices, dumped):
    code = flow.allow(alices)["code"]
    body = flow.redeem(code).json()
    after = flow.refresh(body["refresh_token"]).json()
    secrets = [code, body["access_token"], body["refresh_token"], body["id_token"], after["refresh_token"]]
    assert RefreshToken.objects.count() == 2
    everything = dumped()
    assert [secret for secret in secrets if secret in everything] == []
