"""How Fly refuses: `{"error": text, "status"?: code}`, with 412 for half a dozen reasons."""

from collections.abc import Mapping

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import identifiers


class FlyError(Exception):
    """A request is refused. `code` is the machine-readable `status` that newer answers carry."""

    def __init__(
        self,
        status: int,
        text: str,
        *,
        code: str | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the answer will say; `body` replaces the usual one."""
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})
        self.body = dict(body) if body is not None else {"error": text} | ({"status": code} if code else {})

    def answer(self) -> web.Response:
        """Give the HTTP answer."""
        return json_answer(self.body, status=self.status, headers=self.headers)


def invalid(text: str) -> FlyError:
    """Refuse an argument: 400."""
    return FlyError(400, f"invalid_argument: {text}")


def unauthenticated() -> FlyError:
    """Refuse a token that is missing, unknown or expired: 401."""
    return FlyError(401, "Authenticate: token validation error")


def forbidden(text: str = "Authorize: not permitted") -> FlyError:
    """Refuse what the token may not do: 403."""
    return FlyError(403, text)


def not_found(thing: str) -> FlyError:
    """Refuse what isn't there: 404."""
    return FlyError(404, f"{thing} not found")


def precondition(text: str, *, code: str | None = None) -> FlyError:
    """Refuse what can't be done in the present state: 412."""
    return FlyError(412, f"failed_precondition: {text}", code=code)


def unprocessable(text: str, *, code: str | None = None) -> FlyError:
    """Refuse what fails validation: 422."""
    return FlyError(422, f"Validation failed: {text}", code=code)


def stamp(response: web.Response) -> web.Response:
    """Put the ids on an answer that Fly's support asks for."""
    response.headers.setdefault("fly-request-id", identifiers.request_id())
    response.headers.setdefault("fly-trace-id", identifiers.trace_id())
    response.headers.setdefault("fly-span-id", identifiers.span_id())
    return response


def usual_failure(status: int, *, headers: Mapping[str, str]) -> web.Response:
    """Answer a failure that a test ordered without saying what its body is."""
    text = _USUAL.get(status, "internal: something went wrong")
    response = json_answer({"error": text}, status=status, headers=headers)
    if status == _TOO_MANY:
        response.headers.setdefault("Retry-After", "1")
    return stamp(response)


_TOO_MANY = 429
_USUAL = {
    400: "invalid_argument: the request is malformed",
    401: "Authenticate: token validation error",
    403: "Authorize: not permitted",
    404: "not found",
    408: "deadline_exceeded: the request took too long",
    409: "aborted: could not reserve resource for machine: insufficient memory available to fulfill request",
    412: "failed_precondition: the machine is in another state",
    422: "Validation failed",
    _TOO_MANY: "rate limit exceeded",
    502: "bad gateway",
    503: "unavailable: the host is unreachable",
    504: "deadline_exceeded: the upstream did not answer",
}
