"""gunicorn's worker, with our words for requests that never reach Django."""

from typing import Any

import orjson
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

_TOO_LONG = "The address or the headers of this request are too long."
_UNREADABLE = "This is not a request that can be read."
_CRASHED = "Something went wrong on our side. Please try again."
_OUR_OWN = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_REFUSALS: tuple[tuple[tuple[type[Exception], ...], tuple[int, str, str]], ...] = (
    ((errors.LimitRequestLine,), (414, "URI Too Long", _TOO_LONG)),
    ((errors.LimitRequestHeaders,), (431, "Request Header Fields Too Large", _TOO_LONG)),
    ((errors.ParseException,), (400, "Bad Request", _UNREADABLE)),
)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """Answers what can't be parsed as JSON, without saying or logging what was sent.

    gunicorn's own answer is an HTML page that repeats the header it stumbled over, and so does its
    log: with a token in that header, both would carry a secret.
    """

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - gunicorn's
        """Refuse, and close the connection."""
        address = addr[0] if addr else "-"
        for kinds, refusal in _REFUSALS:
            if isinstance(exc, kinds) and not isinstance(exc, _OUR_OWN):
                self.log.warning("refused a request from %s: %s", address, type(exc).__name__)
                return self._answer(client, *refusal)
        self.log.error("a request from %s failed", address, exc_info=exc)
        return self._answer(client, 500, "Internal Server Error", _CRASHED)

    def _answer(self, client: Any, status: int, reason: str, sentence: str) -> None:
        body = orjson.dumps({"error": sentence})
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode("ascii") + body)
        except OSError:
            self.log.debug("whoever sent it is gone")
