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

_STEPS = {
    "format": ("the formatting", "ruff format --check ."),
    "lint": ("the lint rules", "ruff check ."),
    "types": ("the types", "mypy"),
    "imports": ("who imports whom", "lint-imports"),
    "templates": ("the templates", "djlint templates --lint --quiet"),
    "migrations": ("that models and migrations agree", "python manage.py makemigrations --check --dry-run"),
    "deploy": ("production-like settings", "python manage.py check --deploy --fail-level WARNING"),
    "openapi": (
        "the OpenAPI document",
        f"python manage.py spectacular --validate --fail-on-warn --file {os.devnull}",
    ),
    "tests": (
        "everything else: the tests, with forty requests of each kind that the OpenAPI document allows or forbids",
        "python -m pytest -n auto --dist worksteal --durations=10",
    ),
}
# The tests bring their own settings and their own database, and ask more of what is hostile than `make test` does.
_TESTS = {"HOSTILE_EXAMPLES": "40"}


def main(names: list[str]) -> int:
    """Run the named steps, or all of them; return the exit status of the last one run."""
    unknown = [name for name in names if name not in _STEPS]
    if unknown:
        print(f"Unknown step {unknown[0]}; there are {', '.join(_STEPS)}.", file=sys.stderr)
        return 2
    for name in names or _STEPS:
        subject, command = _STEPS[name]
        print(f"\n==> {name}: {subject}", flush=True)
        started = time.monotonic()
        program, *words = command.split()
        environment = {**os.environ, **_TESTS} if name == "tests" else _production_like()
        # The programs of this very environment, whatever is on PATH.
        done = subprocess.run([Path(sys.executable).with_name(program), *words], env=environment, check=False)
        if done.returncode != 0:
            print(f"\nmake check stopped at: {name} ({command})", file=sys.stderr)
            return done.returncode
        if name != "tests":  # The run ends with the test runner's own summary.
            print(f"    fine, {time.monotonic() - started:.1f} s", flush=True)
    return 0


def _production_like() -> dict[str, str]:
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
