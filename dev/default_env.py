"""The server's environment under `make dev`: what is set wins, the rest is preset."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.env import host_of
from dev.errors import DevelopmentError
from dev.options import Options
from dev.state import write_private

# The sandbox's accounts. Public on purpose: they open nothing but the sandbox.
_GITHUB = {
    "GITHUB_URL": "{sandbox}/github",
    "GITHUB_API_URL": "{sandbox}/github/api",
    "GITHUB_CLIENT_ID": "sandbox-github-client",
    "GITHUB_CLIENT_SECRET": "sandbox-github-secret",
}
_NANGO = {
    "NANGO_SERVER_URL": "{sandbox}/nango",
    "NANGO_CONNECT_API_URL": "{sandbox}/nango",
    "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000001",
    "NANGO_WEBHOOK_SIGNING_KEY": "sandbox-webhook-signing-key",
}
_FLY = {
    "FLY_API_URL": "{sandbox}/fly",
    "FLY_PLATFORM_URL": "{sandbox}/fly",
    "FLY_APP_URL": "{sandbox}/fly/apps/{{app}}",
    "FLY_API_TOKEN": "sandbox-fly-org-token",
    "FLY_ORG": "sandbox",
    "FLYCTL": str(Path(__file__).resolve().parents[1] / "sandbox" / "bin" / "flyctl"),
}

# What leads to one service each: its settings go together, or a key reaches somebody else's server.
SERVICES = {"GitHub": tuple(_GITHUB), "Nango": tuple(_NANGO), "Fly": tuple(_FLY)}


def is_set(name: str, environment: Mapping[str, str]) -> bool:
    """Say whether a setting is given, as itself or as a file (NAME_FILE)."""
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def server_environment(options: Options, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with every gap filled that development can fill, but DATABASE_URL.

    GitHub's settings are preset all together or not at all, and so are Nango's and Fly's: a real client
    id is of no use to the sandbox, and the sandbox's none to GitHub.
    """
    public_host = host_of(options.public_url)
    presets = {
        "DEBUG": "true",
        "LOG_FORMAT": "text",
        "PORT": str(options.port),
        "PUBLIC_URL": options.public_url,
        "ALLOWED_HOSTS": ",".join(dict.fromkeys([public_host, "localhost", "127.0.0.1", "[::1]"])),
        # The stand-in for GitHub sends nobody anywhere that it wasn't told.
        "SANDBOX_REDIRECT_HOSTS": public_host.strip("[]"),
        "WEB_CONCURRENCY": "1",
        "BUILD_FOLDER": str(options.state / "builds"),
        "STORAGE_FOLDER": str(options.state / "storage"),
        **kept_keys(options.state / "keys.json"),
    }
    for group in (_GITHUB, _NANGO, _FLY):
        if not any(is_set(name, environment) for name in group):
            presets |= {name: value.format(sandbox=options.sandbox_url) for name, value in group.items()}
    filled = {name: value for name, value in presets.items() if not is_set(name, environment)}
    return {**environment, **filled, "PYTHONUNBUFFERED": "1"}


def kept_keys(path: Path) -> dict[str, str]:
    """Return the keys of this state folder by their settings' names, each made at first and kept 0600.

    A file from before there was one of them gets it added. Raises DevelopmentError for a damaged file.
    """
    kept = _read_keys(path)
    missing = {name: make() for name, make in _KEYS.items() if name not in kept}
    if missing:
        write_private(path, json.dumps(kept | missing, indent=1) + "\n")
    return kept | missing


def _read_keys(path: Path) -> dict[str, str]:
    """The keys of the file, or none where there is no file. It has had the oldest ones from its beginning."""
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(keys[name]) for name in _KEYS if name in keys or name in _OLDEST_KEYS}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} is damaged. Restore it, or delete {path.parent} with its data to start afresh."
        raise DevelopmentError(message) from error


def _new_secret_key() -> str:
    return secrets.token_urlsafe(48)


def _new_encryption_keys() -> str:
    return f"1:{base64.b64encode(os.urandom(32)).decode()}"


def _new_signing_key() -> str:
    """An Ed25519 key in PEM on one line, as environment files want it."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii").strip().replace("\n", "\\n")


_OLDEST_KEYS = ("SECRET_KEY", "ENCRYPTION_KEYS")
_KEYS = {
    "SECRET_KEY": _new_secret_key,
    "ENCRYPTION_KEYS": _new_encryption_keys,
    "DEV_UI_JWT_PRIVATE_KEY": _new_signing_key,
}
