"""The system checks of the settings as a whole."""

import pytest

from core.checks import one_way_to_the_client_address, public_address_is_https, shared_counts


def ids(messages):
    return [message.id for message in messages]


def test_w001_counting_in_each_process_is_said(settings):
    settings.REDIS_URL = ""
    assert ids(shared_counts(None)) == ["crayon.W001"]
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    assert ids(shared_counts(None)) == []


def test_e001_a_public_address_without_https_is_refused_in_production(settings):
    settings.IS_SECURE = False
    assert ids(public_address_is_https(None)) == ["crayon.E001"]
    settings.IS_SECURE = True
    assert ids(public_address_is_https(None)) == []


@pytest.mark.parametrize(
    ("header", "count", "expected"),
    [("", 0, []), ("Fly-Client-IP", 0, []), ("", 1, []), ("Fly-Client-IP", 1, ["crayon.E002"])],
)
def test_e002_two_rules_for_the_clients_address_are_refused(settings, header, count, expected):
    settings.CLIENT_ADDRESS_HEADER, settings.TRUSTED_PROXY_COUNT = header, count
    assert ids(one_way_to_the_client_address(None)) == expected
