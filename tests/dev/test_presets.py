"""What `make dev` presets, and what the commands beside it get of it, where test_make_dev.py does not see it."""

import json
from pathlib import Path

import pytest

from clouddev.machine_tokens import Signer
from core.crypto import parse_keys
from dev.default_env import environment_beside, kept_keys, note, server_environment
from dev.errors import DevelopmentError
from dev.options import Options

NAMES = {"SECRET_KEY", "ENCRYPTION_KEYS", "DEV_UI_JWT_PRIVATE_KEY"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_keys_are_made_once_and_for_their_owner_alone(path):
    keys = kept_keys(path)
    assert keys.keys() == NAMES
    assert kept_keys(path) == keys == json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_folders_have_different_keys(path, tmp_path):
    keys, others = kept_keys(path), kept_keys(tmp_path / "others.json")
    assert [name for name in NAMES if keys[name] == others[name]] == []


def test_the_server_can_use_them(path):
    keys = kept_keys(path)
    assert len(keys["SECRET_KEY"]) >= 50
    assert parse_keys(keys["ENCRYPTION_KEYS"]).keys() == {1}
    assert "\n" not in keys["DEV_UI_JWT_PRIVATE_KEY"]
    assert Signer.from_pem(keys["DEV_UI_JWT_PRIVATE_KEY"]).kid


def test_a_key_that_is_new_is_added_and_the_rest_kept(path):
    old = {"SECRET_KEY": "not-a-secret", "ENCRYPTION_KEYS": "1:not-a-secret"}
    path.write_text(json.dumps(old))
    keys = kept_keys(path)
    assert keys == {**old, "DEV_UI_JWT_PRIVATE_KEY": keys["DEV_UI_JWT_PRIVATE_KEY"]}
    assert kept_keys(path) == keys
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"[1]", b"\xff"])
def test_a_damaged_file_is_named_and_left_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(DevelopmentError, match=f"{path} is damaged"):
        kept_keys(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("given", ["DEV_UI_JWT_PRIVATE_KEY", "DEV_UI_JWT_PRIVATE_KEY_FILE"])
def test_a_signing_key_that_is_set_is_used(tmp_path, given):
    environment = server_environment(Options.read({"DEV_STATE": str(tmp_path)}), {given: "mine"})
    assert {name: value for name, value in environment.items() if name.startswith("DEV_UI_")} == {given: "mine"}


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(value):
    with pytest.raises(DevelopmentError, match=f"PORT must be a port number from 1 to 65535, not '{value}'"):
        Options.read({"PORT": value})


NANGO = {
    "NANGO_SERVER_URL": "https://nango.example.com",
    "NANGO_SECRET_KEY": "11111111-1111-4111-8111-111111111111",
    "NANGO_CONNECT_API_URL": "https://nango.example.com",
}
DATABASE = {"DATABASE_URL": "mine"}


def running(state: Path, given: dict[str, str]) -> dict[str, str]:
    """The settings of a `make dev` that runs, on other ports than usual, as others see them."""
    options = Options.read({"DEV_STATE": str(state), "PORT": "3100", "SANDBOX_PORT": "3101"})
    environment = server_environment(options, DATABASE | given)
    note(state, {**environment, "HOME": "/home/alice"})
    noted: dict[str, str] = json.loads((state / "running.json").read_text())
    return noted


@pytest.mark.parametrize("given", [{}, {"NANGO_SERVER_URL": NANGO["NANGO_SERVER_URL"]}, NANGO])
def test_commands_beside_it_have_its_settings_whole_and_nothing_else_of_it(tmp_path, given):
    noted = running(tmp_path, NANGO)
    assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
    assert "HOME" not in noted
    assert (noted["PUBLIC_URL"], noted["FLY_API_URL"]) == ("http://localhost:3100", "http://127.0.0.1:3101/fly")
    found = environment_beside(tmp_path, {**given, "HOME": "/home/bob", "LOG_LEVEL": "DEBUG"})
    assert found == {**noted, "HOME": "/home/bob", "LOG_LEVEL": "DEBUG", "PYTHONUNBUFFERED": "1"}
    assert "NANGO_WEBHOOK_SIGNING_KEY" not in found, "the sandbox's is of no use there"


@pytest.mark.parametrize(
    ("own", "given"),
    [
        ({}, NANGO),
        ({}, {"NANGO_SECRET_KEY": NANGO["NANGO_SECRET_KEY"]}),
        (NANGO, {**NANGO, "NANGO_SERVER_URL": "https://other.example.com"}),
        (NANGO, {"NANGO_SECRET_KEY_FILE": "/run/secrets/key"}),
        ({}, {"FLY_API_TOKEN": "not-a-secret"}),
        ({}, {"GITHUB_CLIENT_ID": "not-ours"}),
        ({}, {"DATABASE_URL": "theirs"}),
        ({}, {"DATABASE_URL_FILE": "/run/secrets/database"}),
        ({}, {"PORT": "3000"}),
    ],
)
def test_another_service_or_database_than_that_of_make_dev_is_refused(tmp_path, own, given):
    running(tmp_path, own)
    with pytest.raises(DevelopmentError, match="has another") as refused:
        environment_beside(tmp_path, given)
    assert not any(value in str(refused.value) for value in given.values())


def test_while_it_is_still_starting_that_is_said(tmp_path):
    with pytest.raises(DevelopmentError, match="is still starting"):
        environment_beside(tmp_path, {})
