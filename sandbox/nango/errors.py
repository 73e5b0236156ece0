"""Nango's error body: `{"error": {"code", "message"?, "errors"?, "payload"?}}`."""

from collections.abc import Sequence

from aiohttp import web

from sandbox.answers import json_answer

Issue = dict[str, object]


class NangoError(Exception):
    """A request is refused, with the status and code that Nango uses."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str | None = None,
        *,
        issues: Sequence[Issue] = (),
        **fields: object,
    ) -> None:
        """Keep what the body will say; `fields` are further keys beside the code."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers: dict[str, str] = {}
        error: dict[str, object] = {"code": code}
        if message is not None:
            error["message"] = message
        if issues:
            error["errors"] = list(issues)
        self.body = {"error": error | fields}

    def answer(self) -> web.Response:
        """Give the HTTP answer."""
        return json_answer(self.body, status=self.status)


def issue(code: str, message: str, path: Sequence[str] = ()) -> Issue:
    """Name one thing that is wrong with a body or a query."""
    return {"code": code, "message": message, "path": list(path)}


def unknown_integration(status: int, key: str) -> NangoError:
    """Refuse an integration that does not exist: 400 on most routes, 404 on import."""
    return NangoError(status, "unknown_provider_config", f'Integration "{key}" does not exist')


def unknown_session() -> NangoError:
    """Refuse a connect session token that is unknown, revoked or over."""
    return NangoError(401, "unknown_connect_session_token", "The session token is not valid")
