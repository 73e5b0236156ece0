"""What `make dev` presets, beside what tests/dev/test_make_dev.py sees from outside."""

import json
from pathlib import Path

import pytest

from clouddev.machine_tokens import Signer
from core.crypto import parse_keys
from dev.default_env import kept_keys, server_environment
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


def test_a_file_from_before_there_was_a_signing_key_gets_one_and_keeps_the_rest(path):
    old = {"SECRET_KEY": "not-a-secret", "ENCRYPTION_KEYS": "1:not-a-secret"}
    path.write_text(json.dumps(old))
    keys = kept_keys(path)
    assert keys == {**old, "DEV_UI_JWT_PRIVATE_KEY": keys["DEV_UI_JWT_PRIVATE_KEY"]}
    assert kept_keys(path) == keys
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b'{"SECRET_KEY": "not-a-secret"}', b"\xff"])
def test_a_damaged_file_is_named_and_left_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(DevelopmentError, match=f"{path} is damaged"):
        kept_keys(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("given", ["DEV_UI_JWT_PRIVATE_KEY", "DEV_UI_JWT_PRIVATE_KEY_FILE"])
def test_a_signing_key_that_is_set_is_used(tmp_path, given):
    environment = server_environment(Options.read({"DEV_STATE": str(tmp_path)}), {given: "mine"})
    assert {name: value for name, value in environment.items() if name.startswith("DEV_UI_")} == {given: "mine"}
