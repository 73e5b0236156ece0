"""The system checks of workspaces."""

import subprocess

import pytest
from django.conf import settings as real_settings

from clouddev.checks import data_database_is_one, memory_is_a_size_of_flys, signing_key_is_one, signing_key_is_set


def own_database(monkeypatch, port):
    """Let the server's own database be at db.example."""
    for name, value in {"HOST": "db.example", "PORT": port, "NAME": "crayon"}.items():
        monkeypatch.setitem(real_settings.DATABASES["default"], name, value)


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


@pytest.mark.parametrize(
    "url",
    [
        "not-a-secret",
        "mysql://admin:not-a-secret@db.example/data",
        "host=db.example user=admin password=not-a-secret",
        "postgres://db.example/not-a-secret",
        "postgres://admin:not-a-secret@/data",
        "postgres://admin:not-a-secret@one.example,two.example/data",
        "postgres://admin:not-a-secret@db.example:port/data",
        "postgres://admin:not-a-secret@db.example/data?nonsense=1",
    ],
)
def test_e042_a_data_database_that_can_not_be_read_stops_the_start(settings, url):
    settings.DATABASE_DATA_URL = url
    [message] = data_database_is_one(None)
    assert (message.id, message.msg) == ("crayon.E042", "DATABASE_DATA_URL can't be read.")
    assert "not-a-secret" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://other:not-a-secret@db.example/crayon",
        "postgresql://other:not-a-secret@DB.example:5432/crayon?sslmode=require",
        "postgres://crayon:not-a-secret@db.example",
    ],
)
@pytest.mark.parametrize("port", ["", "5432", 5432])
def test_e042_machines_do_not_share_the_servers_own_database(settings, monkeypatch, url, port):
    own_database(monkeypatch, port)
    settings.DATABASE_DATA_URL = url
    [message] = data_database_is_one(None)
    assert (message.id, message.msg) == ("crayon.E042", "DATABASE_DATA_URL is the same database as DATABASE_URL.")
    assert "not-a-secret" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize("address", ["db.example/data", "db.example:5433/crayon", "data.example/crayon"])
def test_e042_one_of_its_own_and_none_at_all_are_well(settings, monkeypatch, address):
    own_database(monkeypatch, "")
    for url in (f"postgres://admin:not-a-secret@{address}", ""):
        settings.DATABASE_DATA_URL = url
        assert data_database_is_one(None) == []


@pytest.mark.parametrize(("megabytes", "expected"), [(256, []), (3072, []), (3000, ["crayon.E043"])])
def test_e043_only_sizes_that_fly_makes(settings, megabytes, expected):
    settings.CLOUD_DEV_MEMORY_MB = megabytes
    assert ids(memory_is_a_size_of_flys(None)) == expected
