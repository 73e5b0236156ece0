"""The system checks of sign-in."""

import pytest

from accounts.checks import allow_list_is_not_empty, clients_have_addresses_of_their_own, github_is_configured


def ids(messages):
    return [message.id for message in messages]


def test_e011_an_allow_list_without_entries_stops_the_start(settings):
    settings.SIGNUP_POLICY = "allowlist"
    assert ids(allow_list_is_not_empty(None)) == ["crayon.E011"]


@pytest.mark.parametrize("name", ["LOGINS", "ORGANIZATIONS", "EMAIL_DOMAINS"])
def test_e011_one_entry_is_enough(settings, name):
    settings.SIGNUP_POLICY = "allowlist"
    setattr(settings, f"SIGNUP_ALLOWED_{name}", ["crayon-team"])
    assert ids(allow_list_is_not_empty(None)) == []


@pytest.mark.parametrize("policy", ["open", "waitlist"])
def test_e011_other_policies_need_no_list(settings, policy):
    settings.SIGNUP_POLICY = policy
    assert ids(allow_list_is_not_empty(None)) == []


def test_w011_a_server_without_github_warns_its_operator(settings):
    settings.GITHUB_CLIENT_ID = ""
    assert ids(github_is_configured(None)) == ["crayon.W011"]
    settings.GITHUB_CLIENT_ID = "sandbox-github-client"
    assert ids(github_is_configured(None)) == []


@pytest.mark.parametrize(
    ("is_secure", "header", "proxies", "expected"),
    [
        (True, "", 0, ["crayon.W012"]),
        (True, "Fly-Client-IP", 0, []),
        (True, "", 1, []),
        (False, "", 0, []),
    ],
)
def test_w012_a_server_that_takes_its_proxy_for_everybody_warns(settings, is_secure, header, proxies, expected):
    settings.IS_SECURE = is_secure
    settings.CLIENT_ADDRESS_HEADER, settings.TRUSTED_PROXY_COUNT = header, proxies
    assert ids(clients_have_addresses_of_their_own(None)) == expected
