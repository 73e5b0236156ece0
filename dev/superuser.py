"""The operator `make dev` makes for its database, so that the admin can be entered."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from dev.state import write_private

NAME = "operator"


def ensure(*, state: Path, database_url: str, manage: Callable[[Mapping[str, str], str, str], None]) -> str | None:
    """Return the operator's password, making the operator when the database has none.

    None: this database has one that was made elsewhere, and its password is not known here.
    manage: runs manage.py with additional environment and the words of a command.
    """
    file = state / "operator-password"
    kept = file.read_text(encoding="utf-8").strip() if file.exists() else None
    if _exists(database_url):
        return kept
    password = kept or secrets.token_urlsafe(15)
    # Written first: a kill in between leaves a password without a person, which the next run uses.
    write_private(file, password + "\n")
    manage(
        {
            "DJANGO_SUPERUSER_USERNAME": NAME,
            "DJANGO_SUPERUSER_EMAIL": "operator@example.com",
            "DJANGO_SUPERUSER_PASSWORD": password,
        },
        "createsuperuser",
        "--noinput",
    )
    return password


def _exists(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        query = "SELECT 1 FROM accounts_user WHERE username = %s"
        return connection.execute(query, [NAME]).fetchone() is not None
