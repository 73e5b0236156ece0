"""System checks of CONFIG_FILE together with the other settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.trusted_issuers import checks
from config.config_sections import ConfiguredOrganization, KeyValidation, TrustedTokens

ROOT = Path(__file__).resolve().parents[2]


def ids(messages):
    return [message.id for message in messages]


@pytest.fixture
def trusted(settings):
    """Another server is trusted; its addresses can be changed."""

    def trust(jwks="https://app.example.com/keys", issuer="https://app.example.com", keys="https://app.example.com/k"):
        settings.TRUSTED_TOKENS = TrustedTokens(jwks_uri=jwks, issuer=issuer, audience="crayon")
        settings.KEY_VALIDATION = KeyValidation(validation_url=keys)

    trust()
    return trust


def test_e061_this_server_is_not_its_own_trusted_issuer(settings, trusted):
    assert ids(checks.issuer_is_somebody_else(None)) == []
    for slash in ("", "/"):
        trusted(issuer=f"{settings.PUBLIC_URL}{slash}")
        assert ids(checks.issuer_is_somebody_else(None)) == ["crayon.E061"]
    settings.TRUSTED_TOKENS = None
    assert ids(checks.issuer_is_somebody_else(None)) == []


def test_e062_the_issuer_is_asked_over_tls_in_production(settings, trusted):
    settings.IS_SECURE = True
    settings.CONFIG_LINES = {"auth.better_auth_jwt.jwks_uri": 7}
    assert ids(checks.issuer_is_asked_over_tls(None)) == []
    trusted(jwks="http://app.example.com/keys", keys="http://app.example.com/k")
    messages = checks.issuer_is_asked_over_tls(None)
    assert ids(messages) == ["crayon.E062"] * 2
    assert messages[0].msg.startswith("line 7 of CONFIG_FILE, auth.better_auth_jwt.jwks_uri: it is http://")
    trusted(jwks="http://127.0.0.1:1/keys", keys="http://[::1]:1/k")
    assert ids(checks.issuer_is_asked_over_tls(None)) == []
    settings.IS_SECURE = False
    trusted(jwks="http://app.example.com/keys")
    assert ids(checks.issuer_is_asked_over_tls(None)) == []


def test_w061_an_issuer_without_organizations_is_said(settings, trusted):
    assert ids(checks.organizations_have_an_issuer(None)) == ["crayon.W061"]
    settings.ORGS_AUTO_CREATE = True
    assert ids(checks.organizations_have_an_issuer(None)) == []
    settings.ORGS_AUTO_CREATE = False
    settings.CONFIGURED_ORGANIZATIONS = (
        ConfiguredOrganization(id="550e8400-e29b-41d4-a716-446655440000", name="Acme", slug="acme"),
    )
    assert ids(checks.organizations_have_an_issuer(None)) == []


def test_manage_py_check_says_what_is_wrong_with_which_line_and_nothing_else(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[server]\nhttp_port = 8000\n[auth.better_auth_jwt]\njwks_url = 1\n", encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "SECRET_KEY", "ENCRYPTION_KEYS", "PUBLIC_URL", "DATABASE_URL")}
    ran = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**kept, "CONFIG_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        f"CONFIG_FILE {file}, line 3: [auth.better_auth_jwt] lacks jwks_uri.",
        "line 3: [auth.better_auth_jwt] lacks issuer.",
        "line 3: [auth.better_auth_jwt] lacks audience.",
        (
            "line 4: auth.better_auth_jwt.jwks_url is not known. "
            "[auth.better_auth_jwt] may have jwks_uri, issuer, audience."
        ),
    ]
