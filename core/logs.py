"""Structured logs: JSON lines in production, text in development, each with the request's id."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from core.request_context import current_address, current_caller, current_request_id


class JSONFormatter(logging.Formatter):
    """A record as one JSON object: time, level, logger, request_id, message, and exception when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "request_id": current_request_id(),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """A record as a line of text for a person."""

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = current_request_id()
        return super().format(record)


def write_access(*, method: str, path: str, status: int, milliseconds: float) -> None:
    """Write the access log's line for one request to standard error.

    Straight, not through `logging`, whose records cost as much as a third of a small request.
    """
    if settings.LOG_FORMAT == "text":
        # A decoded path may hold line ends, which would forge lines.
        shown = path.encode("unicode_escape").decode()
        sys.stderr.write(f"{method} {shown} {status} {milliseconds} ms {current_request_id()}\n")
        return
    line = {
        "time": datetime.now(UTC),
        "logger": "crayon.access",
        "request_id": current_request_id(),
        "address": current_address(),
        "caller": current_caller(),
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": milliseconds,
    }
    sys.stderr.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode())


def configuration(*, style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING for a style ("json" or "text") and the name of a level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JSONFormatter},
            "text": {"()": TextFormatter, "fmt": "%(asctime)s %(levelname)s %(request_id)s %(name)s: %(message)s"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": style}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level},
            # SQL with its values, and the paths of outgoing requests with their queries, carry secrets.
            "django.db.backends": {"level": "WARNING"},
            "urllib3": {"level": "ERROR"},
            "requests": {"level": "ERROR"},
            # Codes and refresh tokens stand in what they say of each request.
            "oauthlib": {"level": "INFO"},
            "oauth2_provider": {"level": "INFO"},
            # A line for each of the jobs that run every few seconds says nothing.
            "procrastinate": {"level": "WARNING"},
            # Refused requests are in the access log; crashes are logged here with their traceback.
            "django.request": {"level": "ERROR"},
        },
    }
