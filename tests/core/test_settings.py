"""Settings that follow from others, read as at the start of a process."""

import pytest


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 30),
        ({"REDIS_URL": "redis://127.0.0.1:9/0"}, 60),
        ({"CREDENTIALS_CACHE_SECONDS": "10"}, 10),
        ({"REDIS_URL": "redis://127.0.0.1:9/0", "CREDENTIALS_CACHE_SECONDS": "0"}, 0),
    ],
)
def test_credentials_are_kept_by_default_and_longer_where_all_processes_share_the_cache(read, environment, seconds):
    assert read(**environment)["CREDENTIALS_CACHE_SECONDS"] == seconds


def test_https_turns_on_secure_cookies_and_a_year_of_hsts_for_this_host_alone(read):
    plain, secure = read(), read(PUBLIC_URL="https://crayon.example.com")
    for settings, seconds in ((plain, 0), (secure, 365 * 24 * 3600)):
        is_secure = seconds > 0
        assert settings["SECURE_HSTS_SECONDS"] == seconds
        assert settings["SECURE_SSL_REDIRECT"] is settings["SESSION_COOKIE_SECURE"] is is_secure
        assert settings["SESSION_COOKIE_NAME"].startswith("__Host-") is is_secure
        assert not {"SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD"} & settings.keys()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://crayon.example.com:8443", "crayon.example.com"),
        ("http://127.0.0.1:3000", "127.0.0.1"),
        ("http://[::1]:3000", "[::1]"),
    ],
)
def test_the_server_answers_to_the_host_of_its_public_address(read, url, host):
    assert read(PUBLIC_URL=url, ALLOWED_HOSTS="")["ALLOWED_HOSTS"] == [host]


def test_a_machine_of_flys_is_known_by_its_id(read):
    assert [read(FLY_MACHINE_ID=value)["IS_ON_FLY"] for value in ("", "148e21ea7e8d89")] == [False, True]
