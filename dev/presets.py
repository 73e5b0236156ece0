"""The server's environment under `make dev`: what is set wins, the rest is preset."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

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


def is_set(name: str, environment: Mapping[str, str]) -> bool:
    """Say whether a setting is given, as itself or as a file (NAME_FILE)."""
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def server_environment(options: Options, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with every gap filled that development can fill, but DATABASE_URL.

    GitHub's settings are preset all together or not at all, and so are Nango's and Fly's: a real client
    id is of no use to the sandbox, and the sandbox's none to GitHub.
    """
    presets = {
        "DEBUG": "true",
        "LOG_FORMAT": "text",
        "PORT": str(options.port),
        "PUBLIC_URL": options.public_url,
        "ALLOWED_HOSTS": ",".join(
            dict.fromkeys([urlsplit(options.public_url).hostname or "", "localhost", "127.0.0.1"])
        ),
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
    """Return SECRET_KEY and ENCRYPTION_KEYS of this state folder, made at first and kept 0600."""
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(keys[name]) for name in ("SECRET_KEY", "ENCRYPTION_KEYS")}
    except FileNotFoundError:
        keys = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ENCRYPTION_KEYS": f"1:{base64.b64encode(os.urandom(32)).decode()}",
        }
        write_private(path, json.dumps(keys, indent=1) + "\n")
        return keys
    except (ValueError, KeyError) as error:
        message = f"{path} is damaged. Restore it, or delete {path.parent} with its data to start afresh."
        raise DevelopmentError(message) from error
