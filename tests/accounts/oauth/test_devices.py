"""Device login: a tool shows a code, a person types it and decides, the tool polls until it has tokens."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AccessToken, CLILogin, Login, Membership
from accounts.oauth import access_tokens, clients, devices
from accounts.services import users
from tests.accounts.browsing import text_of
from tests.accounts.oauth.flows import Flow, claims_of, make_client
from tests.conftest import make_person

pytestmark = pytest.mark.django_db
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Device(Flow):
    """The command-line tool, which has no browser."""

    def start(self, path="/oauth/device/code", **fields):
        return self.form(path, **{"scope": "openid profile deployments:write", "hostname": "build-7", **fields})

    def poll(self, device_code, path="/oauth/token", **fields):
        return self.form(path, grant_type=GRANT, device_code=device_code, **fields)


@pytest.fixture
def device(db):
    clients.ensure_own()
    return Device(client_id="crayon-cli")


@pytest.fixture
def started(device):
    return device.start().json()


def later(**span):
    return time_machine.travel(timezone.now() + timedelta(**span), tick=False)


def type_in(browser, code):
    """Open /device, type the code, go on."""
    page = browser.get("/device")
    assert page.status_code == 200
    return browser.press(page, "/auth/cli", typed=code, decision="look")


def decide(browser, code, decision="approve", **fields):
    return browser.press(type_in(browser, code), "/auth/cli", decision=decision, **fields)


def refused(answer, error):
    return (answer.status_code, answer.json()["error"]) == (400, error)


def test_it_gives_a_code_to_show_and_one_to_poll_with(device):
    answer = device.start()
    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert set(body) == {
        "device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"
    }  # fmt: skip
    assert (body["expires_in"], body["interval"]) == (600, 5)
    code = body["user_code"]
    assert (len(code), code[4], set(code.replace("-", "")) <= set(devices.ALPHABET)) == (9, "-", True)
    assert body["verification_uri"] == "http://testserver/device"
    assert body["verification_uri_complete"] == f"http://testserver/device?user_code={code}"


def test_a_foreign_host_changes_no_address(device):
    body = device.http.post(
        "/oauth/device/code", {"client_id": "crayon-cli"}, headers={"Host": "localhost", "X-Forwarded-Host": "evil"}
    ).json()
    assert body["verification_uri"] == "http://testserver/device"


def test_approval_becomes_tokens(device, started, alices, alice):
    assert refused(device.poll(started["device_code"]), "authorization_pending")
    page = type_in(alices, started["user_code"])
    for words in (started["user_code"], "crayon CLI", "build-7", "make, push, cancel and remove apps"):
        assert words in text_of(page)
    done = alices.press(page, "/auth/cli", decision="approve")
    assert "Authorized!" in text_of(done)
    answer = device.poll(started["device_code"])
    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert set(body) == {"access_token", "expires_in", "token_type", "scope", "refresh_token", "id_token"}
    who = access_tokens.principal_of_jwt(body["access_token"], now=timezone.now())
    assert (who.id, who.scopes) == (alice.pk, frozenset({"deployments:write"}))
    assert claims_of(body["id_token"])["aud"] == "crayon-cli"
    assert device.refresh(body["refresh_token"]).status_code == 200
    assert "crayon CLI on build-7" in text_of(alices.get("/account/apps"))


@pytest.mark.parametrize(
    "spelled", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code[:4]} {code[5:].lower()} "]
)
def test_the_code_may_be_typed_in_any_spelling(device, started, alices, spelled):
    assert "Authorized!" in text_of(decide(alices, spelled(started["user_code"])))
    assert device.poll(started["device_code"]).status_code == 200


@pytest.mark.parametrize("typed", ["", "x", "BCDF-GHJK-LMNP", "AEIO-UAEI", "BCDF\0GHJK", "é" * 8])
def test_a_wrong_code_leads_nowhere(started, alices, typed):
    assert type_in(alices, typed).status_code in {400, 404}


def test_wrong_codes_are_limited(alices):
    statuses = [type_in(alices, "BCDF-BCDF").status_code for _ in range(11)]
    assert statuses == [404] * 10 + [429]


def test_a_link_with_the_code_leads_to_the_same_question(started, alices):
    answer = alices.get("/device", user_code=started["user_code"])
    page = alices.get(answer["Location"])
    assert started["user_code"] in text_of(page)
    assert "Approve" in text_of(page)


def test_somebody_not_signed_in_signs_in_first(browser):
    assert browser.get("/device")["Location"] == "/auth/sign-in?next=/device"


def test_deny_is_told(device, started, alices):
    decide(alices, started["user_code"], "deny")
    assert refused(device.poll(started["device_code"]), "access_denied")
    assert not Login.objects.exists()


def test_a_decision_holds(device, started, alices, bobs):
    decide(alices, started["user_code"], "deny")
    assert type_in(bobs, started["user_code"]).status_code == 409
    assert refused(device.poll(started["device_code"]), "access_denied")


def test_approving_without_the_forms_token_does_nothing(started, alices):
    code = CLILogin.objects.get().code
    answer = alices.client.post("/auth/cli", {"cli_code": code, "decision": "approve"})
    assert answer.status_code == 403
    assert CLILogin.objects.get().state == "pending"


def test_it_expires_before_and_after_approval(device, started, alices):
    with later(seconds=601):
        assert refused(device.poll(started["device_code"]), "expired_token")
    decide(alices, started["user_code"])
    with later(seconds=601):
        assert refused(device.poll(started["device_code"]), "expired_token")
    assert not Login.objects.exists()


def test_polling_too_fast_makes_the_interval_longer(device, started):
    now = timezone.now()
    for seconds, error in [
        (0, "authorization_pending"), (2, "slow_down"), (8, "slow_down"), (24, "authorization_pending")
    ]:  # fmt: skip
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            assert refused(device.poll(started["device_code"]), error), seconds
    assert CLILogin.objects.get().interval == 15


def test_a_device_code_works_once(device, started, alices):
    decide(alices, started["user_code"])
    assert device.poll(started["device_code"]).status_code == 200
    assert refused(device.poll(started["device_code"]), "invalid_grant")
    assert Login.objects.count() == 1


def test_only_the_client_that_began_redeems_it(device, started, alices):
    make_client(client_id="other", grant_types=[GRANT])
    decide(alices, started["user_code"])
    assert refused(device.poll(started["device_code"], client_id="other"), "invalid_grant")
    assert device.poll(started["device_code"]).status_code == 200


@pytest.mark.parametrize("code", ["", "unknown", "é"])
def test_another_device_code_is_nothing(device, started, code):
    assert device.poll(code).json()["error"] in {"invalid_grant", "invalid_request"}


def test_what_the_table_holds_is_no_device_code(device, started, alices, dumped):
    decide(alices, started["user_code"])
    assert started["device_code"] not in dumped()
    kept = bytes(CLILogin.objects.get().secret_digest).hex()
    assert refused(device.poll(kept), "invalid_grant")


def test_a_device_code_gets_no_token_of_the_cli(started, alices, nobody_api):
    decide(alices, started["user_code"])
    code = CLILogin.objects.get().code
    answer = nobody_api.get("/api/auth/cli/check", code=code, secret=started["device_code"])
    assert answer.json() == {"data": {"status": "expired"}}
    assert not AccessToken.objects.exists()


def test_json_is_taken_at_the_addresses_of_browsers_libraries(device, nobody_api, alices):
    started = nobody_api.post("/api/auth/device/code", {"client_id": "crayon-cli", "scope": "openid"}).json()
    polled = {"grant_type": GRANT, "device_code": started["device_code"], "client_id": "crayon-cli"}
    assert refused(nobody_api.post("/api/auth/device/token", polled), "authorization_pending")
    decide(alices, started["user_code"])
    assert nobody_api.post("/api/auth/device/token", polled).json()["scope"] == "openid"


def test_forms_are_taken_there_as_well(device, alices):
    started = device.start(path="/api/auth/device/code").json()
    decide(alices, started["user_code"])
    assert device.poll(started["device_code"], path="/api/auth/device/token").status_code == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": None}, "invalid_request"),
        ({"client_id": "notes"}, "unauthorized_client"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"resource": "https://evil.example"}, "invalid_target"),
    ],
)
def test_who_may_not_begin_is_told(device, notes, fields, error):
    answer = device.start(**fields)
    assert (answer.status_code in {400, 401}, answer.json()["error"]) == (True, error)
    assert not CLILogin.objects.exists()


def test_a_person_chooses_the_organization(device, started, alices, alice):
    team = make_person("team").personal_organization
    team.personal_for = None
    team.save()
    Membership.objects.create(organization=team, user=alice, role="member")
    decide(alices, started["user_code"], organization="team")
    claims = claims_of(device.poll(started["device_code"]).json()["access_token"])
    assert (claims["org"]["slug"], claims["org"]["role"]) == ("team", "member")


def test_an_approval_of_somebody_whose_access_ended_is_none(device, started, alices, alice):
    decide(alices, started["user_code"])
    users.suspend(user=alice, by=None)
    assert refused(device.poll(started["device_code"]), "access_denied")
    assert not Login.objects.exists()


def test_from_another_network_the_code_has_to_be_typed(device, started, browser_of, alice):
    away = browser_of(alice, address="203.0.113.7")
    page = away.get(away.get("/device", user_code=started["user_code"])["Location"])
    assert started["user_code"] not in text_of(page)
    assert "another address" in text_of(page)
    for typed in ("", "BCDF-GHJK"):
        wrong = away.press(page, "/auth/cli", decision="approve", typed=typed)
        assert (wrong.status_code, CLILogin.objects.get().state) == (403, "pending")
        assert "This is not the code" in text_of(wrong)
    assert "Authorized!" in text_of(away.press(page, "/auth/cli", decision="approve", typed=started["user_code"]))


def test_who_typed_it_at_the_devices_page_need_not_type_it_again(device, started, browser_of, alice):
    away = browser_of(alice, address="203.0.113.7")
    assert "Authorized!" in text_of(decide(away, started["user_code"].lower()))
