"""What gunicorn's worker says by itself, without Django: JSON that repeats nothing of what was sent."""

import orjson
from gunicorn.http import errors

from config.gunicorn_worker.client_connections import BodyTooLarge
from core.request_context import REQUEST_ID_HEADER

_TOO_LONG = "The address or the headers of this request are too long. Shorten them and try again."
_TOO_SLOW = "This request took too long to arrive."
_TOO_LARGE = "The request's body is too large."
_TOO_BUSY = "Too much is being received right now. Try again in a minute."
_UNREADABLE = "This is not a request that can be read."
_CRASHED = "Something went wrong on our side. Please try again."


class RequestTooSlow(Exception):
    """408: the request's head or its small body did not come in time."""


class TooBusy(Exception):
    """503: too many large requests are being collected."""


Refusal = tuple[int, str, str]
CRASHED: Refusal = (500, "Internal Server Error", _CRASHED)
_OUR_OWN = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_REFUSALS: tuple[tuple[type[Exception], Refusal], ...] = (
    (RequestTooSlow, (408, "Request Timeout", _TOO_SLOW)),
    (BodyTooLarge, (413, "Content Too Large", _TOO_LARGE)),
    (TooBusy, (503, "Service Unavailable", _TOO_BUSY)),
    (errors.LimitRequestLine, (414, "URI Too Long", _TOO_LONG)),
    (errors.LimitRequestHeaders, (431, "Request Header Fields Too Large", _TOO_LONG)),
    (errors.ParseException, (400, "Bad Request", _UNREADABLE)),
)


def refusal_of(error: Exception) -> Refusal | None:
    """Status, reason and sentence for who sent what raised `error`; None when that was our fault."""
    if isinstance(error, _OUR_OWN):
        return None
    return next((refusal for kind, refusal in _REFUSALS if isinstance(error, kind)), None)


def answer_of(refusal: Refusal, *, request_id: str) -> bytes:
    """The whole answer, after which the connection is closed."""
    status, reason, sentence = refusal
    body = orjson.dumps({"error": sentence})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n{REQUEST_ID_HEADER}: {request_id}\r\n\r\n"
    )
    return head.encode("ascii") + body
