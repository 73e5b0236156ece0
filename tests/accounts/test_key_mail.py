"""A mail for a new key, where mail is configured: to whoever made it, with nothing secret and no stranger's words."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import APIKey, User
from accounts.services import api_keys

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _configured(settings, alice):
    settings.MAIL_IS_CONFIGURED = True
    User.objects.filter(pk=alice.pk).update(github_id=7)


def test_whoever_made_a_key_is_told_and_how_to_end_it(alice_api, settings):
    plain = alice_api.post("/api/keys", {"name": "Click http://example.com"}).json()["data"]["key"]
    (told,) = mail.outbox
    assert told.to == ["alice@example.com"]
    assert told.subject == f"A new API key was made at {settings.PUBLIC_URL}"
    assert f"begins with {plain[:16]} was made as you from the address 127.0.0.1" in told.body
    assert f"{settings.PUBLIC_URL}/account/keys" in told.body
    assert plain not in told.body
    assert "example.com" not in told.body


def test_so_are_those_who_make_workers_keys_and_rotate(alice, alice_api):
    alice_api.post("/api/orgs/alice/worker-tokens", {"displayName": "worker-1"})
    api_keys.rotate(key_id=APIKey.objects.get().pk, by=alice, overlap=timedelta(0), now=timezone.now())
    assert [message.to for message in mail.outbox] == [["alice@example.com"]] * 2


def test_nobody_is_told_at_an_address_that_is_not_known_to_be_theirs(alice, alice_api):
    User.objects.filter(pk=alice.pk).update(github_id=None)
    assert alice_api.post("/api/keys", {"name": "CI"}).status_code == 201
    assert mail.outbox == []


def test_a_key_is_made_where_no_mail_can_be_sent(alice_api, settings, monkeypatch):
    def fail(*_args, **_options):
        raise ConnectionRefusedError

    monkeypatch.setattr(mail.EmailMessage, "send", fail)
    assert alice_api.post("/api/keys", {"name": "CI"}).status_code == 201
    settings.MAIL_IS_CONFIGURED = False
    assert alice_api.post("/api/keys", {"name": "CI"}).status_code == 201
    assert APIKey.objects.count() == 2
