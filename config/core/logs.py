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
        # Django's own request log repeats paths with their queries, which carry secrets.
        "loggers": {
            "django": {"level": level},
            "django.request": {"level": "CRITICAL"},
            "django.server": {"level": "CRITICAL"},
            "urllib3": {"level": "ERROR"},
        },
    }
