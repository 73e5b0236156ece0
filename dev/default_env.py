"""The server's environment under `make dev`: what is set wins, the rest is preset."""

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.env import host_of
from dev.errors import DevelopmentError
from dev.options import Options
from dev.state import write_private

_ROOT = Path(__file__).resolve().parents[1]
# The sandbox's accounts. Public on purpose: they open nothing but the sandbox. The settings of one service are preset
# all together or not at all: a real client id is of no use to the sandbox, and the sandbox's none to GitHub.
_SERVICES = (
    {
        "GITHUB_URL": "{sandbox}/github",
        "GITHUB_API_URL": "{sandbox}/github/api",
        "GITHUB_CLIENT_ID": "sandbox-github-client",
        "GITHUB_CLIENT_SECRET": "sandbox-github-secret",
        "GITHUB_ORG_TOKEN": "sandbox-github-org-token",
    },
    {
        "NANGO_SERVER_URL": "{sandbox}/nango",
        "NANGO_CONNECT_API_URL": "{sandbox}/nango",
        "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000001",
        "NANGO_WEBHOOK_SIGNING_KEY": "sandbox-webhook-signing-key",
    },
    {
        "FLY_API_URL": "{sandbox}/fly",
        "FLY_PLATFORM_URL": "{sandbox}/fly",
        "FLY_APP_URL": "{sandbox}/fly/apps/{{app}}",
        "FLY_API_TOKEN": "sandbox-fly-org-token",
        "FLY_ORG": "sandbox",
        "FLYCTL": str(_ROOT / "sandbox" / "bin" / "flyctl"),
    },
)
_ELSEWHERE = {"DATABASE_URL", "DATABASE_DATA_URL", *(name for service in _SERVICES for name in service)}


def is_set(name: str, environment: Mapping[str, str]) -> bool:
    """Say whether a setting is given, as itself or as a file (NAME_FILE)."""
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def server_environment(options: Options, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with every gap filled that development can fill, but DATABASE_URL."""
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
    for service in _SERVICES:
        if not any(is_set(name, environment) for name in service):
            presets |= {name: value.format(sandbox=options.sandbox_url) for name, value in service.items()}
    filled = {name: value for name, value in presets.items() if not is_set(name, environment)}
    return {**environment, **filled, "PYTHONUNBUFFERED": "1"}


def kept_keys(path: Path) -> dict[str, str]:
    """Return the keys of this state folder by their settings' names, each made at first and kept 0600.

    Raises DevelopmentError for a damaged file.
    """
    try:
        kept = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (ValueError, TypeError) as error:
        raise DevelopmentError(
            f"{path} is damaged. Restore it, or delete {path.parent} with its data to start afresh."
        ) from error
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"1:{base64.b64encode(os.urandom(32)).decode()}",
        "DEV_UI_JWT_PRIVATE_KEY": new_signing_key(),
    }
    keys = made | kept
    if keys != kept:
        write_private(path, json.dumps(keys, indent=1) + "\n")
    return keys


def new_signing_key() -> str:
    """Return an Ed25519 key in PEM on one line, as environment files want it."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii").strip().replace("\n", "\\n")


def note(state: Path, environment: Mapping[str, str]) -> None:
    """Let the commands that are started beside this process know the settings of its server."""
    example = (_ROOT / ".env.example").read_text(encoding="utf-8")
    settings = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)
    names = [form for name in settings for form in (name, f"{name}_FILE") if environment.get(form)]
    text = json.dumps({name: environment[name] for name in names}, indent=1)
    write_private(state / "running.json", text + "\n")


def environment_beside(state: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return `given` with the settings of what runs in this state folder.

    Raises DevelopmentError when another database or service is given, of which its database knows nothing, or any
    other value than it has, and while it is still starting.
    """
    try:
        noted = json.loads((state / "running.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DevelopmentError(f"What runs in {state} is still starting. Try again in a moment.") from None
    settled = _ELSEWHERE | {name.removesuffix("_FILE") for name in noted}
    forms = [form for name in sorted(settled) for form in (name, f"{name}_FILE")]
    if others := ", ".join(form for form in forms if given.get(form) and given[form] != noted.get(form)):
        raise DevelopmentError(
            f"What runs in {state} has another {others}. Unset {others}, or set DEV_STATE to another folder."
        )
    return {**given, **noted, "PYTHONUNBUFFERED": "1"}
