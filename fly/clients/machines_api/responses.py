"""Reading Fly's answers: the body when it is one, the right error when it is not."""

import logging
from collections.abc import Callable
from typing import TypeVar

from core.errors import ApplicationError, NotFound
from core.http_client import Response
from core.upstream_types import Unreadable
from fly.clients.flyctl.output_lines import clean
from fly.clients.machines_api.errors import (
    FlyBusy,
    FlyFailed,
    FlyRefusesToken,
    FlyRejected,
    FlyWantsPayment,
    InsufficientCapacity,
    LeaseHeld,
    NameTaken,
    NotOurs,
    Precondition,
    PreconditionFailed,
    QuotaExceeded,
    UnknownApp,
)

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT = 408
_MALFORMED = 400
_UNAUTHENTICATED = 401
_PAYMENT = 402
_FORBIDDEN = 403
_MISSING = 404
_CONFLICT = 409
_PRECONDITION = 412
_INVALID = 422
_TOO_MANY = 429
_SHORTEST_PAUSE_SECONDS = 1
_LONGEST_PAUSE_SECONDS = 300
_LONGEST_REASON = 300
_REFUSALS = frozenset({_MALFORMED, _PAYMENT, _FORBIDDEN, _CONFLICT, _PRECONDITION, _INVALID})
_PAYMENT_WORDS = ("payment", "billing", "credit card", "past due", "unpaid", "overdue", "invoice", "free trial")
_LIMIT_WORDS = ("quota", "limit reached", "reached the limit", "reached its limit", "maximum number", "too many apps")
_OF_ROOM = frozenset({_MALFORMED, _CONFLICT, _PRECONDITION})
_CAPACITY_STATUSES = frozenset({"insufficient_capacity", "volume_placement_capacity"})
_CAPACITY_WORDS = ("capacity", "insufficient resources", "insufficient memory", "insufficient cpu", "could not reserve")
# Fly's 412 has no code for what it is about; the first of these words that is in its text tells.
_PRECONDITIONS = (
    ("unique machine name", Precondition.NAME),
    ("getting replaced", Precondition.REPLACING),
    ("still active", Precondition.STILL_ACTIVE),
    ("bound to machine", Precondition.VOLUME_BOUND),
    ("already claimed", Precondition.VOLUME_BOUND),
    ("snapshot", Precondition.SNAPSHOT),
    ("secret", Precondition.SECRETS_VERSION),
    ("current state", Precondition.STATE),
    ("version", Precondition.VERSION),
)
Shape = TypeVar("Shape")


def read(answer: Response, shape: Callable[[object], Shape]) -> Shape:
    """The body in its shape. Raises FlyFailed when it is not JSON or lacks something."""
    try:
        return shape(answer.json())
    except Unreadable as error:
        logger.error("Fly's answer can't be read: %s (%s)", error, request_id(answer))  # noqa: TRY400 - no more to say
        raise FlyFailed from error


def request_id(answer: Response) -> str:
    """What Fly's support asks for."""
    return answer.headers.get("fly-request-id", "no fly-request-id")[:100]


def failure(
    answer: Response, *, missing: type[NotFound] = UnknownApp, is_about_secrets: bool = False
) -> ApplicationError:
    """The error for an answer that is none of success; `missing` is what a 404 means.

    An answer about secrets may repeat them, so its reason is told to nobody.

    Fly's own `status` counts first, then HTTP's, then the words.
    """
    code, words = _code(answer), _words(answer)
    reason = "" if is_about_secrets else _reason(words)
    logger.warning("Fly answered %s %s (%s)", answer.status, code[:60], request_id(answer))
    if code == "name_taken" or (answer.status == _INVALID and "been taken" in words):
        return NameTaken()
    lacks_room = answer.status in _OF_ROOM and any(word in words for word in _CAPACITY_WORDS)
    if code in _CAPACITY_STATUSES or lacks_room:
        return InsufficientCapacity()
    if answer.status == _MISSING:
        return missing()
    if answer.status in _REFUSALS and (refusal := _lasting_refusal(answer, words, reason)):
        return refusal
    return _by_status(answer, words, reason)


def _lasting_refusal(answer: Response, words: str, reason: str) -> ApplicationError | None:
    """What no other try will change: money, or a limit. Fly has no codes for them; its reason goes to the log."""
    if answer.status == _PAYMENT or any(word in words for word in _PAYMENT_WORDS):
        logger.error("Fly wants its account settled: %s (%s)", reason, request_id(answer))
        return FlyWantsPayment(reason=reason)
    if any(word in words for word in _LIMIT_WORDS):
        logger.error("Fly refuses more: %s (%s)", reason, request_id(answer))
        return QuotaExceeded(reason=reason)
    return None


def _reason(words: str) -> str:
    """What Fly says, fit for operators' eyes: one short line without control codes and tokens."""
    return clean(" ".join(words.split())[:_LONGEST_REASON].encode())


def _by_status(answer: Response, words: str, reason: str) -> ApplicationError:
    if answer.status == _TOO_MANY:
        return FlyBusy(retry_after=_seconds_to_wait(answer))
    if answer.status in {_UNAUTHENTICATED, _FORBIDDEN}:
        return _refusal(answer, words, reason)
    if answer.status in {_CONFLICT, _PRECONDITION}:
        return _precondition(answer, words)
    if answer.status in {_MALFORMED, _INVALID}:
        logger.error("Fly refuses the request: %s (%s)", reason, request_id(answer))
        return FlyRejected(reason=reason)
    return FlyFailed()


def is_elsewhere(answer: Response) -> bool:
    """Whether the answer about one app says that another organization has it."""
    return answer.status == _FORBIDDEN and "quota" not in _words(answer)


def failure_of_app(answer: Response) -> ApplicationError:
    """The error of asking for an app by its name, where 403 means that it is another organization's."""
    return NotOurs() if is_elsewhere(answer) else failure(answer)


def _refusal(answer: Response, words: str, reason: str) -> ApplicationError:
    if "quota" in words:
        return QuotaExceeded(reason=reason)
    logger.error("Fly refuses our token: %s (%s)", answer.status, request_id(answer))
    return FlyRefusesToken()


def _precondition(answer: Response, words: str) -> ApplicationError:
    if answer.status == _CONFLICT and "lease" in words:
        return LeaseHeld()
    kind = next((kind for word, kind in _PRECONDITIONS if word in words), Precondition.OTHER)
    return PreconditionFailed(kind=kind)


def _code(answer: Response) -> str:
    body = answer.json()
    found = body.get("status") if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""


def _words(answer: Response) -> str:
    """The text of the error in lower case; some handlers write it as `message`."""
    body = answer.json()
    if isinstance(body, dict):
        for name in ("error", "message"):
            if isinstance(body.get(name), str):
                return str(body[name]).lower()
    return answer.body[:1000].decode(errors="replace").lower()


def _seconds_to_wait(answer: Response) -> int:
    stated = answer.headers.get("retry-after", "")
    seconds = int(stated) if stated.isascii() and stated.isdecimal() else 0
    return min(max(seconds, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
