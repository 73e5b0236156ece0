"""No token, and no login, for who is no member any more, or whose organization is suspended; and odd sizes."""

import logging

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, CLILogin, Login, Membership
from accounts.models.organizations import Organization
from accounts.oauth import access_tokens
from accounts.principals import SCOPES
from core.logs import configuration
from tests.accounts.oauth.flows import Flow
from tests.accounts.oauth.test_devices import decide, device, later, refused, started  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


def suspend():
    Organization.objects.update(suspended_at=timezone.now())


def leave():
    Membership.objects.all().delete()


def test_a_browser_gets_no_token_while_its_organization_is_suspended(alices):
    assert alices.get("/api/auth/token").status_code == 200
    suspend()
    assert alices.get("/api/auth/token").status_code == 403


@pytest.mark.parametrize("end", [suspend, leave])
def test_a_code_yields_neither_token_nor_login(flow, alices, end):
    code = flow.allow(alices)["code"]
    end()
    for _ in range(2):
        assert refused(flow.redeem(code), "invalid_grant")
    assert not Login.objects.exists()
    assert not AuditEvent.objects.filter(action="login.begun").exists()


@pytest.mark.parametrize("end", [suspend, leave])
def test_a_device_gets_neither_token_nor_login(device, started, alices, end):  # noqa: F811 - fixtures
    decide(alices, started["user_code"])
    end()
    assert refused(device.poll(started["device_code"]), "invalid_grant")
    assert not Login.objects.exists()


def test_hasty_polls_wait_no_longer_than_the_login_lasts(device, started):  # noqa: F811 - fixtures
    device.poll(started["device_code"])
    CLILogin.objects.update(interval=32767)
    assert refused(device.poll(started["device_code"]), "slow_down")
    assert CLILogin.objects.get().interval == 600


def test_a_token_with_the_longest_names_is_taken(flow, alices, alice):
    flow.sign_in(alices)
    login = Login.objects.select_related("user", "organization").get()
    login.user.name = login.organization.name = "\N{WAVING HAND SIGN}" * 255
    token = access_tokens.issue(login=login, role="owner", scopes=[*SCOPES] * 20, now=timezone.now())
    assert access_tokens.looks_like_one(token)
    assert access_tokens.principal_of_jwt(token, now=timezone.now()).id == alice.pk


def test_no_secret_is_logged_at_the_lowest_level(flow: Flow, alices, caplog):
    caplog.set_level(logging.DEBUG)
    for name, kept in configuration(style="json", level="DEBUG")["loggers"].items():
        caplog.set_level(kept["level"], logger=name)
    code = flow.allow(alices)["code"]
    first = flow.redeem(code).json()
    second = flow.refresh(first["refresh_token"]).json()
    secrets = [code, *(body[name] for body in (first, second) for name in ("access_token", "refresh_token"))]
    assert [one for one in secrets if one in caplog.text] == []
