"""POST /api/users/register: a key without a browser."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.test import Client

from accounts import key_format
from accounts.models import APIKey, AuditEvent, User
from accounts.services import registration
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
PATH = "/api/users/register"


def test_a_stranger_gets_a_key(nobody_api):
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        answer = nobody_api.post(PATH, {"name": "Alice's assistant"})
    user, row = User.objects.get(), APIKey.objects.get()
    assert answer.status_code == 200
    told = answer.json()
    assert key_format.is_whole(told["api_key"], key_format.PERSONAL)
    assert told == {
        "user_id": str(user.pk),
        "api_key": told["api_key"],
        "message": "Keep this API key: it is shown this once, and there is no other way in. Send it as "
        "`Authorization: Bearer <key>`. It works until 2027-01-01.",
    }
    assert (user.name, user.email, user.has_usable_password(), user.is_staff) == ("Alice's assistant", "", False, False)
    assert (row.user, row.organization) == (user, user.personal_organization)
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {"user.registered", "api_key.made"}
    assert told["api_key"] not in str(list(AuditEvent.objects.values()))


def test_its_key_connects_accounts_and_makes_nothing_that_costs(nobody_api, sandbox):
    api = APIClient(nobody_api.post(PATH).json()["api_key"])
    assert api.get("/api/integrations").status_code == 200
    assert api.get("/api/integrations/acme/connections").status_code == 200
    assert api.post("/api/cloud-dev/create", {"appName": "x", "envVars": {}}).status_code == 403
    assert api.post("/api/deploy/prepare", {"appName": "x"}).status_code == 403
    assert api.post("/api/keys", {"name": "x"}).status_code == 403


def test_it_is_switched_off_by_a_setting(nobody_api, settings):
    settings.REGISTRATION = False
    answer = nobody_api.post(PATH)
    assert (answer.status_code, answer.json()) == (403, {"error": str(registration.RegistrationIsOff.default)})
    assert not User.objects.exists()


@pytest.mark.parametrize("policy", ["allowlist", "waitlist"])
def test_it_never_goes_around_the_sign_up_policy(settings, policy):
    settings.SIGNUP_POLICY, settings.SIGNUP_ALLOWED_LOGINS = policy, ["alice"]
    for on, found in ((True, ["crayon.E015"]), (False, [])):
        settings.REGISTRATION = on
        assert [message.id for message in run_checks() if message.id == "crayon.E015"] == found


def test_by_default_it_is_on_where_everybody_may_sign_up():
    assert (django_settings.SIGNUP_POLICY == "open") == django_settings.REGISTRATION


@pytest.mark.parametrize("body", [{"name": 7}, {"name": None}, {"name": "x" * 101}, {"name": "a\nb"}])
def test_a_name_that_cannot_be_one_is_told(nobody_api, body):
    assert nobody_api.post(PATH, body).status_code == 400
    assert not User.objects.exists()


def test_one_address_registers_so_often_an_hour(db):
    def register(address):
        return Client(REMOTE_ADDR=address).post(PATH, content_type="application/json").status_code

    assert [register("192.0.2.1") for _ in range(11)] == [200] * 10 + [429]
    assert register("192.0.2.2") == 200
    assert User.objects.count() == 11
