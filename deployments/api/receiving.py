"""Receiving a push, as JSON or as the bare archive, without ever having it in memory."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest

from accounts.callers import Caller
from config.core.api import NotJSON, query, validated
from config.core.bodies import Unreadable, announced_length, pieces_of
from config.core.errors import Malformed, Unavailable
from deployments import environment
from deployments.api.serializers import PushSerializer, RawPushSerializer
from deployments.archives import TooLarge
from deployments.archives.posted import MOST_BESIDE, TooLargeBeside, read_posted
from deployments.services import pushing

RAW_TYPES = frozenset({"application/gzip", "application/x-gzip"})
# Each takes a thread of gunicorn's for as long as its line needs; others must be served meanwhile.
_MOST_AT_ONCE, _MOST_PER_PERSON = max(1, min(8, settings.WEB_THREADS // 2)), 3
_receiving: Counter[object] = Counter()
_mutex = threading.Lock()


class OtherType(NotJSON):
    """415: the body is declared to be neither JSON nor gzip."""

    default = "Send JSON, with `Content-Type: application/json`, or the archive itself, with `application/gzip`."


class Incomplete(Malformed):
    """400: the connection broke or fell silent."""

    default = "The request did not arrive whole. Push again."


class TooManyUploads(Unavailable):
    """503: this process receives as many pushes as it may."""

    default = "Too many pushes are being received right now. Push again in a minute."


@dataclass(frozen=True, slots=True)
class Received:
    """What came, in shape: the rest is for the service."""

    app_name: str
    push: pushing.Push


@contextmanager
def received(request: HttpRequest, caller: Caller) -> Iterator[Received]:
    """The push, its archive in a file that is gone afterwards.

    Raises OtherType, Malformed, TooLarge, TooManyUploads, and for the bare archive, before it is read, what
    `pushing.require_pushable` raises.
    """
    declared = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if declared not in RAW_TYPES | {"", "application/json"}:
        raise OtherType
    read = _read_raw if declared in RAW_TYPES else _read_json
    with _seat(caller), TemporaryFile(prefix="crayon-push-") as file:
        yield read(request, caller, file)


def _read_json(request: HttpRequest, _caller: Caller, file: IO[bytes]) -> Received:
    most = settings.ARCHIVE_MAX_MEGABYTES << 20
    # Base64 makes four bytes of three, and escaped slashes some more; what really counts is counted while reading.
    if (announced_length(request) or 0) > most * 3 // 2 + MOST_BESIDE:
        raise _too_large()
    given = read_posted(_whole(request), file, most=most, too_large=_too_large())
    asked = validated(PushSerializer, given)
    variables = environment.read(given["envVars"]) if "envVars" in given else None
    return _received(asked, file, variables, environment.odd_names(given.get("envVars")))


def _read_raw(request: HttpRequest, caller: Caller, file: IO[bytes]) -> Received:
    asked = validated(RawPushSerializer, query(request))
    left = settings.ARCHIVE_MAX_MEGABYTES << 20
    if (announced_length(request) or 0) > left:
        raise _too_large()
    pushing.require_pushable(caller=caller, app_name=asked["appName"])
    for piece in _whole(request):
        left -= len(piece)
        if left < 0:
            raise _too_large()
        file.write(piece)
    return _received(asked, file, None, "")


def _received(asked: Mapping[str, Any], file: IO[bytes], variables: Mapping[str, str] | None, warning: str) -> Received:
    commit = asked.get("commitHash") or ""
    push = pushing.Push(archive=file, variables=variables, commit=commit, warning=warning)
    return Received(app_name=asked["appName"], push=push)


def _whole(request: HttpRequest) -> Iterator[bytes]:
    """The body's pieces. Raises Incomplete when fewer come than were announced, or TooLargeBeside for no end."""
    announced = announced_length(request)
    most = (settings.ARCHIVE_MAX_MEGABYTES << 20) * 8 + MOST_BESIDE
    came = 0
    try:
        for piece in pieces_of(request):
            came += len(piece)
            if came > most:
                raise TooLargeBeside
            yield piece
    except Unreadable as error:
        raise Incomplete from error
    if announced is not None and came < announced:
        raise Incomplete


def _too_large() -> TooLarge:
    return TooLarge(
        f"archive: The archive is larger than {settings.ARCHIVE_MAX_MEGABYTES} MB. "
        "Leave out what the build can fetch or make, such as node_modules."
    )


@contextmanager
def _seat(caller: Caller) -> Iterator[None]:
    """One of the few places for those who upload. Raises TooManyUploads."""
    with _mutex:
        if _receiving.total() >= _MOST_AT_ONCE or _receiving[caller.id] >= _MOST_PER_PERSON:
            raise TooManyUploads(retry_after=60)
        _receiving[caller.id] += 1
    try:
        yield
    finally:
        with _mutex:
            _receiving[caller.id] -= 1
            if not _receiving[caller.id]:
                del _receiving[caller.id]
