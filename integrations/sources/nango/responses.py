"""Reading Nango's answers: the body when it is one, the right error when it is not."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from core.errors import ApplicationError
from core.http_client import Response
from core.upstream_types import Unreadable
from integrations.sources.nango import types
from integrations.sources.nango.errors import (
    CredentialsNotAccepted,
    ImportRefused,
    NangoFailed,
    NangoLacksScope,
    NangoRefusesKey,
    NoMoreConnections,
    UnknownIntegration,
)

logger = logging.getLogger(__name__)

TOO_MANY = 429
REFUSED_KEY = frozenset({401, 403})
REJECTED = frozenset({"invalid_credentials", "connection_refresh_backoff"})
# The same fact has a status and code of its own on each route; all come as JSON, unlike a wrong address.
UNKNOWN = frozenset({"not_found", "unknown_connection", "unknown_provider_config"})
_BAD_REQUEST, _FORBIDDEN = 400, 403
_HEADER_REFUSED = "malformed_auth_header"
_SCOPE = re.compile(r"environment:[a-z_]{1,40}(?::[a-z_]{1,40})?")
_LONGEST_MESSAGE = 500
_NOT_ACCEPTED = frozenset({"connection_test_failed", "connection_validation_failed"})
_USUAL_WINDOW_SECONDS = 60
Shape = TypeVar("Shape")


def read(answer: Response, shape: Callable[[object], Shape]) -> Shape:
    """The body in its shape. Raises NangoFailed when it is not JSON or lacks something."""
    try:
        return shape(answer.json())
    except Unreadable as error:
        logger.error("Nango's answer can't be read: %s", error)  # noqa: TRY400 - a traceback says no more
        raise NangoFailed from error


def code(answer: Response) -> str:
    """The error's code, "" when the body has none."""
    found = _error(answer).get("code")
    return found if isinstance(found, str) else ""


def failure(answer: Response) -> NangoFailed:
    """The error for an answer that is Nango's own fault, or a misunderstanding between us."""
    logger.warning("Nango answered %s %s", answer.status, code(answer)[:60])
    return NangoFailed()


def import_failure(answer: Response) -> ApplicationError:
    """The error for a connection that was not made."""
    found = code(answer)
    if found in UNKNOWN:
        return UnknownIntegration()
    if found in _NOT_ACCEPTED:
        return CredentialsNotAccepted()
    if found == "resource_capped":
        return NoMoreConnections()
    if answer.status == _BAD_REQUEST and found:
        # Often there is a message only, which may repeat what was sent.
        logger.warning("Nango refused an import: %s %s", found[:60], sorted(_complaints(answer)))
        return ImportRefused()
    return failure(answer)


def key_failure(answer: Response) -> ApplicationError:
    """The error for an answer that refuses our key: its fault, or that of a Nango that can't look it up."""
    if code(answer) == _HEADER_REFUSED:
        # Our header is well formed; this is what comes of a database that is down.
        return failure(answer)
    message = _error(answer).get("message")
    scope = _SCOPE.search(message[:_LONGEST_MESSAGE]) if isinstance(message, str) else None
    logger.error("Nango refuses our key: %s %s %s", answer.status, code(answer)[:60], scope[0] if scope else "")
    return NangoLacksScope(scope[0]) if scope and answer.status == _FORBIDDEN else NangoRefusesKey()


def complains_about(answer: Response, *fields: str) -> bool:
    """Whether the body was refused because of one of these fields."""
    return code(answer) == "invalid_body" and not _complaints(answer).isdisjoint(fields)


def complains_of_nothing_else_than(answer: Response, *fields: str) -> bool:
    """Whether the body was refused because of these fields, or without naming any, as what isn't there is."""
    return code(answer) == "invalid_body" and _complaints(answer) <= set(fields)


def owner_of_rejected(answer: Response) -> str | None:
    """Give the owner of the connection whose credentials were rejected, None when Nango did not say."""
    payload = _error(answer).get("payload")
    connection = payload.get("connection") if isinstance(payload, dict) else None
    try:
        return types.owned(connection).owner
    except Unreadable:
        return None


def seconds_to_wait(answer: Response) -> int:
    """The seconds of `Retry-After`, which may be 0; without it the length of Nango's window."""
    stated = answer.headers.get("retry-after", "")
    return int(stated) if stated.isascii() and stated.isdecimal() else _USUAL_WINDOW_SECONDS


def _error(answer: Response) -> Mapping[str, object]:
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _complaints(answer: Response) -> set[str]:
    """The names of the fields that Nango complains about, without what was in them."""
    problems = _error(answer).get("errors")
    paths = [item.get("path") for item in problems if isinstance(item, dict)] if isinstance(problems, list) else []
    return {path[0] for path in paths if isinstance(path, list) and path and isinstance(path[0], str)}
