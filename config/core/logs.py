"""Structured logs: one JSON object a line in production, plain text in development; each with the request's id."""

import logging
from typing import Any

from config.core.requests import current_request_id


class RequestIDFilter(logging.Filter):
    """Puts the request's id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


def configuration(*, style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING for a style ("json" or "text") and the name of a level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIDFilter}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            },
            "text": {"format": "%(asctime)s %(levelname)s %(request_id)s %(name)s: %(message)s"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "filters": ["request_id"], "formatter": style},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level},
            # SQL with its values, and the paths of outgoing requests with their queries, carry secrets.
            "django.db.backends": {"level": "WARNING"},
            "urllib3": {"level": "ERROR"},
            "requests": {"level": "ERROR"},
            # Refused requests are in the access log; crashes are logged here with their traceback.
            "django.request": {"level": "ERROR"},
        },
    }
