"""manage.py prune: what is over goes, everything else stays."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from procrastinate.contrib.django import app

from accounts import tasks
from accounts.models import AccessToken, AuditEvent, CLILogin, User
from accounts.services.pruning import prune
from core.fields import Sealed
from tests.conftest import token_of

pytestmark = pytest.mark.django_db


def login(code, **ended):
    expires_at = timezone.now() - timedelta(**ended)
    person, _ = User.objects.get_or_create(username="alice")
    CLILogin.objects.create(
        code=code,
        secret_digest=b"d" * 32,
        sealed_token=Sealed(b"sealed"),
        state=CLILogin.State.COLLECTED,
        created_at=expires_at,
        decided_at=expires_at,
        decided_by=person,
        expires_at=expires_at,
    )


def test_it_says_what_went():
    out = StringIO()
    login("00000000", days=2)
    call_command("prune", stdout=out)
    assert (
        out.getvalue() == "Deleted 1 CLI logins, 0 access tokens, 0 API keys, 0 browser sessions and 0 invitations.\n"
    )


def test_logins_go_a_day_after_their_end():
    login("00000000", days=1, seconds=1)
    login("00000001", hours=23)
    login("00000002", minutes=-5)
    assert prune(now=timezone.now()).logins == 1
    assert set(CLILogin.objects.values_list("code", flat=True)) == {"00000001", "00000002"}


def test_sealed_tokens_go_with_the_end_of_their_login():
    login("00000001", seconds=1)
    login("00000002", minutes=-5)
    prune(now=timezone.now())
    assert CLILogin.objects.get(code="00000001").sealed_token is None
    assert bytes(CLILogin.objects.get(code="00000002").sealed_token) == b"sealed"


def test_workers_erase_sealed_tokens_every_minute_and_leave_the_logins():
    login("00000001", seconds=1)
    login("00000002", minutes=-5)
    for _ in range(2):
        tasks.erase_sealed_tokens(timestamp=0)
    assert CLILogin.objects.get(code="00000001").sealed_token is None
    assert bytes(CLILogin.objects.get(code="00000002").sealed_token) == b"sealed"
    crons = {name: periodic.cron for (name, _), periodic in app.periodic_registry.periodic_tasks.items()}
    assert crons["accounts.erase_sealed_tokens"] == "* * * * *"


def test_tokens_go_a_month_after_they_expired_or_were_revoked(alice):
    now = timezone.now()
    for hostname, change in {
        "working": {},
        "expired long ago": {"expires_at": now - timedelta(days=31)},
        "expired lately": {"expires_at": now - timedelta(days=29)},
        "revoked long ago": {"revoked_at": now - timedelta(days=31)},
        "revoked lately": {"revoked_at": now - timedelta(days=29)},
    }.items():
        token_of(alice, hostname=hostname)
        AccessToken.objects.filter(hostname=hostname).update(**change)
    assert prune(now=now).tokens == 2
    left = set(AccessToken.objects.values_list("hostname", flat=True))
    assert left == {"working", "expired lately", "revoked lately"}


def test_a_login_outlives_its_token(alice):
    token_of(alice)
    token = AccessToken.objects.get()
    login("00000000", hours=1)
    CLILogin.objects.update(token=token)
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(days=31))
    prune(now=timezone.now())
    assert CLILogin.objects.get().token is None


def test_browser_sessions_go_when_they_expired(alice, browser_of):
    browser_of(alice)
    assert prune(now=timezone.now()).sessions == 0
    assert prune(now=timezone.now() + timedelta(days=15)).sessions == 1
    assert not Session.objects.exists()


def test_the_audit_trail_stays(alice, alice_api):
    alice_api.post("/api/auth/logout")
    prune(now=timezone.now() + timedelta(days=10_000))
    assert AuditEvent.objects.count() == 1


def test_pruning_twice_is_fine(alice):
    login("00000000", days=2)
    prune(now=timezone.now())
    again = prune(now=timezone.now())
    assert (again.logins, again.tokens, again.sessions) == (0, 0, 0)
