"""The system checks of the access to Nango."""

import pytest
from django.core.checks import run_checks

from integrations import checks

KEY = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(("key", "ids"), [("", []), (KEY, []), (KEY.upper(), []), ("sk_live", ["crayon.W021"])])
def test_a_key_of_another_form_is_doubted(settings, key, ids):
    settings.NANGO_SECRET_KEY = key

    assert [message.id for message in checks.nango_key_looks_like_one(None)] == ids


@pytest.mark.parametrize(
    ("key", "signing_key", "ids"), [("", "", []), (KEY, "s", []), ("", "s", []), (KEY, "", ["crayon.W022"])]
)
def test_a_missing_signing_key_is_told(settings, key, signing_key, ids):
    settings.NANGO_SECRET_KEY, settings.NANGO_WEBHOOK_SIGNING_KEY = key, signing_key

    assert [message.id for message in checks.nango_webhooks_can_be_checked(None)] == ids


@pytest.mark.parametrize(("key", "ids"), [("", ["crayon.W024"]), (KEY, [])])
def test_a_missing_key_is_told_where_the_server_is_deployed(settings, key, ids):
    settings.NANGO_SECRET_KEY, settings.NANGO_WEBHOOK_SIGNING_KEY = key, ""

    def found(**options):
        return [message.id for message in run_checks(**options) if message.id in {"crayon.W021", "crayon.W024"}]

    assert found(include_deployment_checks=True) == ids
    assert found() == []


def test_no_key_is_repeated_in_a_warning(settings):
    settings.NANGO_SECRET_KEY, settings.NANGO_WEBHOOK_SIGNING_KEY = "not-a-uuid-but-secret", ""

    told = [*checks.nango_key_looks_like_one(None), *checks.nango_webhooks_can_be_checked(None)]

    assert len(told) == 2
    assert "not-a-uuid-but-secret" not in str(told)


@pytest.mark.parametrize(
    ("key", "server", "connect", "ids"),
    [
        ("", "http://nango:3003", "", []),
        (KEY, "https://api.nango.dev", "", []),
        (KEY, "http://nango:3003", "https://nango.example.com", []),
        (KEY, "http://nango:3003", "", ["crayon.W025"]),
    ],
)
def test_a_missing_public_address_of_ones_own_nango_is_told(settings, key, server, connect, ids):
    settings.NANGO_SECRET_KEY, settings.NANGO_SERVER_URL, settings.NANGO_CONNECT_API_URL = key, server, connect

    assert [message.id for message in checks.nango_can_be_reached_from_browsers(None)] == ids
