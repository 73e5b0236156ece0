"""The errors that a caller may see.

An ApplicationError carries a status, a sentence fit for a stranger and, where waiting helps, how
long. It is defined beside the function that raises it; `api.py` and the pages render all of them.
What an upstream really said belongs into the log, never into the sentence.
"""

from typing import ClassVar


class ApplicationError(Exception):
    """Something the caller can be told. `retry_after` is in seconds; None where waiting won't help.

    `code` is a word for programs, where a client that isn't ours has to tell this error from others.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = ""
    # Whether asking again will be answered the same, so that nobody shall wait for another try.
    is_permanent: ClassVar[bool] = False
    default: ClassVar[str] = "Something went wrong on our side. Please try again."

    def __init__(self, sentence: str | None = None, *, retry_after: int | None = None) -> None:
        self.sentence = sentence or self.default
        self.retry_after = retry_after
        super().__init__(self.sentence)


class Malformed(ApplicationError):
    """400: the request can't be read, or a field is missing or of the wrong kind."""

    status = 400
    default = "The request can't be read."


class Unauthenticated(ApplicationError):
    """401: no token, or one that doesn't work."""

    status = 401
    default = "Sign in first: send an access token as `Authorization: Bearer <token>`."


class Forbidden(ApplicationError):
    """403: a known caller who may not."""

    status = 403
    default = "You may not do this. Ask an operator of this server."


class NotFound(ApplicationError):
    """404: absent, or not visible to this caller; the two answers are identical."""

    status = 404
    default = "Not found"


class Conflict(ApplicationError):
    """409: the state forbids it."""

    status = 409
    default = "This can't be done in the current state."


class TooManyRequests(ApplicationError):
    """429: slow down; `retry_after` says how long."""

    status = 429
    default = "Too many requests. Please wait a moment and try again."

    def __init__(self, sentence: str | None = None, *, retry_after: int | None = None) -> None:
        if sentence is None and retry_after is not None:
            sentence = f"Too many requests. Please try again in {_spoken(retry_after)}."
        super().__init__(sentence, retry_after=retry_after)


class UpstreamFailed(ApplicationError):
    """502: a service we depend on failed."""

    status = 502
    default = "A service we depend on failed. Please try again in a moment."


class Unavailable(ApplicationError):
    """503: not configured here, or not possible for now."""

    status = 503
    default = "The server can't do this right now. Please try again in a moment."


class UpstreamTimeout(ApplicationError):
    """504: a service we depend on did not answer in time."""

    status = 504
    default = "A service we depend on did not answer in time. Please try again in a moment."


def _spoken(seconds: int) -> str:
    return "1 second" if seconds == 1 else f"{seconds} seconds"
