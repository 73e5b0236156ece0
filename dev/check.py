"""`make check`: every static check in turn, then the tests; the first failure ends it.

`python -m dev.check types migrations` runs only the steps it names. The settings are those of a
production server with throw-away secrets; no step but the tests needs a database.
"""

import base64
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from dev.default_env import is_set

_MANAGE = (sys.executable, "manage.py")
# The tests bring their own settings and their own database, and ask more of what is hostile than `make test` does.
_TESTS = {"HOSTILE_EXAMPLES": "40"}
_STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "format": ("the formatting", (sys.executable, "-m", "ruff", "format", "--check", ".")),
    "lint": ("the lint rules", (sys.executable, "-m", "ruff", "check", ".")),
    "types": ("the types", (sys.executable, "-m", "mypy")),
    "imports": ("who imports whom", (str(Path(sys.executable).with_name("lint-imports")),)),
    "templates": (
        "the templates",
        (sys.executable, "-m", "djlint", "templates", "--lint", "--quiet"),
    ),
    "migrations": (
        "that models and migrations agree",
        (*_MANAGE, "makemigrations", "--check", "--dry-run"),
    ),
    "deploy": (
        "production-like settings",
        (*_MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
    ),
    "openapi": (
        "the OpenAPI document",
        (*_MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull),
    ),
    "tests": (
        "everything else: the tests, with forty requests of each kind that the OpenAPI document allows or forbids",
        (sys.executable, "-m", "pytest", "-n", "auto", "--dist", "worksteal", "--durations=10"),
    ),
}


def main(names: list[str]) -> int:
    """Run the named steps, or all of them; return the exit status of the last one run."""
    unknown = [name for name in names if name not in _STEPS]
    if unknown:
        sys.stderr.write(f"Unknown step {unknown[0]}; there are {', '.join(_STEPS)}.\n")
        return 2
    for name in names or _STEPS:
        subject, command = _STEPS[name]
        sys.stdout.write(f"\n==> {name}: {subject}\n")
        sys.stdout.flush()
        started = time.monotonic()
        environment = {**os.environ, **_TESTS} if name == "tests" else production_like_environment()
        status = subprocess.run(command, env=environment, check=False).returncode
        if status != 0:
            sys.stderr.write(f"\nmake check stopped at: {name} ({' '.join(command)})\n")
            return status
        if name != "tests":  # The run ends with the test runner's own summary.
            sys.stdout.write(f"    fine, {time.monotonic() - started:.1f} s\n")
    return 0


def production_like_environment() -> dict[str, str]:
    """Return the environment of a production server, the gaps filled with values of no worth."""
    presets = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"1:{base64.b64encode(os.urandom(32)).decode()}",
        "PUBLIC_URL": "https://crayon.example.com",
        # Nothing listens on the discard port: a step that wants a database fails at once.
        "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "GITHUB_CLIENT_ID": "check-client",
        "GITHUB_CLIENT_SECRET": "check-secret",
        "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000000",
        "NANGO_WEBHOOK_SIGNING_KEY": "check-webhook-signing-key",
        "TRUSTED_PROXY_COUNT": "1",
        # makemigrations would like to ask the database, and can do without.
        "PYTHONWARNINGS": "ignore:Got an error checking a consistent migration history:RuntimeWarning",
    }
    filled = {name: value for name, value in presets.items() if not is_set(name, os.environ)}
    return {**os.environ, "DEBUG": "false", **filled}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
