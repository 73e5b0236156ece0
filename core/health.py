"""Liveness and readiness, for load balancers."""

import logging
import secrets

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from core.api import NoSuchMethod, json_response

logger = logging.getLogger(__name__)

_READING = ("GET", "HEAD")
_migrated = False


@login_not_required
def health(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    _require_reading(request)
    return json_response({"status": "UP"})


@login_not_required
def ready(request: HttpRequest) -> HttpResponse:
    """The process can do its work: `{"status": "UP"|"DOWN", "database", "migrations", "cache"}`, 200 or 503."""
    _require_reading(request)
    parts = {"database": _database(), "migrations": False, "cache": _cache()}
    parts["migrations"] = parts["database"] and _migrations()
    up = all(parts.values())
    shown = {name: "UP" if part else "DOWN" for name, part in parts.items()}
    return json_response({"status": "UP" if up else "DOWN", **shown}, 200 if up else 503)


def _require_reading(request: HttpRequest) -> None:
    if request.method not in _READING:
        raise NoSuchMethod(allowed=_READING)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("not ready: database: %s", type(error).__name__)
        connection.close()
        return False
    return True


def _migrations() -> bool:
    """Whether all migrations ran; once true it stays true for this process."""
    global _migrated  # noqa: PLW0603 - a memo of one bit
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _cache() -> bool:
    mark = secrets.token_hex(4)
    try:
        cache.set(f"ready:{mark}", mark, timeout=10)
        return bool(cache.get(f"ready:{mark}") == mark)
    except Exception as error:  # noqa: BLE001 - whatever a cache backend raises, it is not ready
        logger.warning("not ready: cache: %s", type(error).__name__)
        return False
