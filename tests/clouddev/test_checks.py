"""The system checks of cloud dev machines."""

import subprocess

import pytest
from django.conf import settings as real_settings

from clouddev.checks import signing_key_is_one, signing_key_is_set


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize("key", ["not a key", "-----BEGIN PRIVATE KEY-----\\nbm90LWEta2V5\\n-----END PRIVATE KEY-----"])
def test_e041_a_signing_key_that_is_none_stops_the_start(settings, key):
    settings.DEV_UI_JWT_PRIVATE_KEY = key
    [message] = signing_key_is_one(None)
    assert message.id == "crayon.E041"
    assert message.msg.startswith("DEV_UI_JWT_PRIVATE_KEY must be an Ed25519 key")
    assert key not in f"{message.msg} {message.hint}"


@pytest.mark.needs_sshd
def test_e041_a_key_of_another_kind_stops_the_start(settings, tmp_path):
    words = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(words, check=True)
    settings.DEV_UI_JWT_PRIVATE_KEY = (tmp_path / "key").read_text()
    assert settings.DEV_UI_JWT_PRIVATE_KEY.startswith("-----BEGIN PRIVATE KEY-----")
    assert ids(signing_key_is_one(None)) == ["crayon.E041"]


def test_e041_a_good_key_and_none_at_all_are_well(settings):
    assert real_settings.DEV_UI_JWT_PRIVATE_KEY
    assert ids(signing_key_is_one(None)) == []
    settings.DEV_UI_JWT_PRIVATE_KEY = ""
    assert ids(signing_key_is_one(None)) == []


@pytest.mark.parametrize(
    ("has_key", "token", "expected"),
    [(True, "sandbox-fly-org-token", []), (False, "", []), (False, "sandbox-fly-org-token", ["crayon.W041"])],
)
def test_w041_machines_that_nobody_could_open_are_said(settings, has_key, token, expected):
    settings.FLY_API_TOKEN = token
    if not has_key:
        settings.DEV_UI_JWT_PRIVATE_KEY = ""
    assert ids(signing_key_is_set(None)) == expected
