"""The migrated database that each test worker's own is a copy of.

The first worker that asks makes it; it stays in the cluster of the tests, for the next run, until a migration changes.
"""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from dev.migrations import fingerprint

_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "template_"
_LOCK = 7_888


def ensure(server_url: str) -> str:
    """Give its name, when it is there; `server_url` is a superuser's address of another database of the cluster."""
    name = f"{_PREFIX}{fingerprint()[:16]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        found = [row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall()]
        if name not in found:
            for other in found:
                if other.startswith(_PREFIX):
                    connection.execute(f"DROP DATABASE {other}".encode())
            unfinished = f"{_PREFIX}unfinished"
            connection.execute(f"CREATE DATABASE {unfinished}".encode())
            _migrate(urlsplit(server_url)._replace(path=f"/{unfinished}").geturl())
            connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {name}".encode())
    return name


def _migrate(url: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity=0"]
    subprocess.run(command, cwd=_ROOT, env={**os.environ, "DATABASE_URL": url}, check=True)
