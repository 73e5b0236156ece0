"""A pytest plugin: the settings that tests run with, whatever the person's own environment says.

Every setting that .env.example names is cleared, as itself and as NAME_FILE, but DATABASE_URL. A real
Nango's address and key and a real Fly's organization and token, which the contract tests want, are kept
under names that no setting has.
"""

import os
import re
from pathlib import Path

CONTRACT_NANGO = {"NANGO_SERVER_URL": "CONTRACT_NANGO_SERVER_URL", "NANGO_SECRET_KEY": "CONTRACT_NANGO_SECRET_KEY"}
CONTRACT_FLY = {"FLY_ORG": "CONTRACT_FLY_ORG", "FLY_API_TOKEN": "CONTRACT_FLY_API_TOKEN"}
_EXAMPLE = Path(__file__).resolve().parents[1] / ".env.example"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_TESTS = {
    "DEBUG": "false",
    "SECRET_KEY": "not-a-secret-only-for-tests-0123456789abcdefghijklmnopqrstuvwxyz",
    "ENCRYPTION_KEYS": "1:bm90LWEtc2VjcmV0LS1vbmx5LWZvci10ZXN0cy0zMmI=",
    # A seed that says in base64 what it is, as the one above.
    "DEV_UI_JWT_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\\n"
    "MC4CAQAwBQYDK2VwBCIEIG5vdC1hLXNlY3JldC0tb25seS1mb3ItdGVzdHMtMzJi\\n"
    "-----END PRIVATE KEY-----",
    "PUBLIC_URL": "http://testserver",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "GITHUB_CLIENT_ID": "sandbox-github-client",
    "GITHUB_CLIENT_SECRET": "sandbox-github-secret",
    # Tests of the use log turn it on: its thread would write beside the transaction that a test is.
    "USE_LOG_DAYS": "0",
    "LOG_LEVEL": "WARNING",
    "LOG_FORMAT": "text",
}


def _clear() -> None:
    """Put the tests' settings in place of the person's. A second time, in a parallel worker, it changes nothing."""
    for name, kept in {**CONTRACT_NANGO, **CONTRACT_FLY}.items():
        if value := os.environ.get(name):
            os.environ[kept] = value
    for name in re.findall(r"^#?([A-Z][A-Z0-9_]*)=", _EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE):
        os.environ.pop(f"{name}_FILE", None)
        if name != "DATABASE_URL":
            os.environ.pop(name, None)
    for name in _PROXIES:
        os.environ.pop(name, None)
    os.environ.update(_TESTS)


# At import, which comes before pytest-django reads the settings; parallel workers import it too.
_clear()
