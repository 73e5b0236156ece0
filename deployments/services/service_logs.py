"""What a running app says, asked of Fly's logs API and kept for a moment, whoever asks."""

import logging

from core import cache
from core.errors import ApplicationError
from fly.clients.flyctl.output_lines import clean
from fly.clients.machines_api import Fly
from fly.clients.machines_api.types import LogEntry

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 2
# So long Fly is not asked again after it failed: a call may take seconds, and many may be waiting.
_FAILURE_KEPT_SECONDS = 5
_LONGEST_NAME = 40


def service_logs(*, fly_name: str) -> str | None:
    """The latest lines of the app at Fly, oldest first; None when Fly can't be asked."""
    key = f"service-logs:{fly_name}"
    kept = cache.read([key]).get(key)
    if isinstance(kept, str):
        # An app that said nothing is told from a Fly that said nothing by the first character.
        return kept[1:] if kept.startswith("+") else None
    lines = _ask(fly_name)
    if lines is None:
        cache.write(key, "-", seconds=_FAILURE_KEPT_SECONDS)
    else:
        cache.write(key, f"+{lines}", seconds=_KEPT_SECONDS)
    return lines


def _ask(fly_name: str) -> str | None:
    try:
        entries = Fly.from_settings().logs(fly_name)
    except ApplicationError as error:
        logger.warning("no logs of %s: %s", fly_name, type(error).__name__)
        return None
    return "".join(f"{_line(entry)}\n" for entry in entries)


def _line(entry: LogEntry) -> str:
    """One line without control codes and of bounded length, whatever the app wrote."""
    where = f"[{_short(entry.instance) or '-'}] {_short(entry.region) or '-'}"
    return f"{entry.at:%Y-%m-%dT%H:%M:%SZ} {where} [{_short(entry.level) or 'info'}] {clean(_one_line(entry.message))}"


def _one_line(message: str) -> bytes:
    return " ".join(message.splitlines()).encode("utf-8", "replace")


def _short(word: str) -> str:
    return clean(_one_line(word[:_LONGEST_NAME]))
