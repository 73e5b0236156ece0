"""Asks the sandbox's Fly over HTTP, with flyctl's habits of asking again."""

import http.client
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.flyctl.console import Failed

_TRIES = 4
_PAUSE_SECONDS = 0.2
_TIMEOUT_SECONDS = 70
_ASK_AGAIN = {502, 503}
_TOO_MANY = 429
_REFUSED = 400
NONCE = "fly-machine-lease-nonce"


class Refused(Failed):
    """Fly answered with a status of 400 or more."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.error = error
        super().__init__(error)


class FlyAPI:
    """The Machines API below `base`, with the token of the environment."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base.rstrip("/")
        self._authorization = _authorization(token)

    def ask(
        self, method: str, path: str, body: object = None, *, nonce: str = "", query: Mapping[str, object] | None = None
    ) -> Any:
        """Give the JSON answer, or None for an empty one. Raises Refused, or Failed when nothing answers."""
        target = f"/v1{path}{f'?{urlencode(query)}' if query else ''}"
        for left in reversed(range(_TRIES)):
            try:
                status, wait, data = self._send(method, target, body, nonce)
            except (OSError, http.client.HTTPException) as error:
                # A change may have arrived; only a question is safe to repeat.
                if method != "GET" or not left:
                    raise Failed(f"failed to reach the Machines API: {method} {path}: {error}") from error
            else:
                if not left or status not in {*_ASK_AGAIN, _TOO_MANY}:
                    return _answer(status, data)
                time.sleep(min(wait, 5))
            time.sleep(_PAUSE_SECONDS * (0.5 + random.random()))
        raise AssertionError("the last try returns or raises")

    def _send(self, method: str, target: str, body: object, nonce: str) -> tuple[int, float, bytes]:
        parts = urlsplit(self._base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        headers = {"Authorization": self._authorization, "User-Agent": "flyctl/sandbox"}
        if nonce:
            headers[NONCE] = nonce
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, f"{parts.path}{target}", payload, headers)
            response = connection.getresponse()
            wait = response.headers.get("Retry-After", "0")
            return response.status, float(wait) if wait.isdigit() else 0.0, response.read()
        finally:
            connection.close()


def _authorization(token: str) -> str:
    if token.startswith("FlyV1 "):
        return token
    return f"FlyV1 {token}" if token.startswith("fm") else f"Bearer {token}"


def _answer(status: int, data: bytes) -> Any:
    try:
        answer = json.loads(data) if data else None
    except ValueError:
        answer = None
    if status < _REFUSED:
        return answer
    known = answer if isinstance(answer, dict) else {}
    raise Refused(status, str(known.get("error") or known.get("message") or data[:200].decode("utf-8", "replace")))
