"""The system checks of the access to Fly."""

import pytest

from fly.checks import apps_answer_in_public


@pytest.mark.parametrize(
    "address",
    [
        "https://{app}.fly.dev",
        "https://apps.example.com/{app}",
        "https://203.0.114.7/{app}",
        "https://[2a09:8280:1::1]/{app}",
    ],
)
def test_e033_has_nothing_against_public_addresses(settings, address):
    settings.DEBUG, settings.FLY_APP_URL = False, address
    assert apps_answer_in_public(None) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://{app}.fly.dev",
        "https://localhost/{app}",
        "https://{app}.localhost",
        "https://LOCALHOST./{app}",
        "https://127.0.0.1:8000/{app}",
        "https://10.1.2.3/{app}",
        "https://169.254.169.254/{app}",
        "https://[::1]/{app}",
        "https://[fdaa::3]/{app}",
        "https://0.0.0.0/{app}",
    ],
)
def test_e033_refuses_what_is_not_public_in_production_alone(settings, address):
    settings.DEBUG, settings.FLY_APP_URL = False, address
    assert [message.id for message in apps_answer_in_public(None)] == ["crayon.E033"]
    settings.DEBUG = True
    assert apps_answer_in_public(None) == []
