"""Receiving a push, as JSON or as the bare archive, without ever having it in memory."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from django.conf import settings
from django.http import HttpRequest

from accounts.principals import Principal
from core.api import NotJSON, query
from core.errors import Malformed, Unavailable
from core.schemas import validated
from core.streamed_bodies import Unreadable, announced_length, pieces_of
from deployments.api.schemas import App, Push, RawPush
from deployments.archives import TooLarge
from deployments.archives.json_upload import MOST_BESIDE, TooLargeBeside, read_posted
from deployments.services import pushes
from fly import env_vars

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


class OtherApp(Malformed):
    """400: the query and the body don't name the same app."""

    default = "appName: The address names another app than the body. Name it in the body alone, or the same in both."


class TooManyUploads(Unavailable):
    """503: this process receives as many pushes as it may."""

    default = "Too many pushes are being received right now. Push again in a minute."


@dataclass(frozen=True, slots=True)
class Received:
    """What came, in shape: the rest is for the service."""

    app_name: str
    push: pushes.Push


@contextmanager
def received(request: HttpRequest, caller: Principal) -> Iterator[Received]:
    """The push, its archive in a file that is gone afterwards.

    Whoever may not push this is refused before the archive is read: with as much of the body as has to come for the
    app's name to be known, or none of it when the query has that. Raises OtherType, OtherApp, Malformed, TooLarge,
    TooManyUploads, and what `pushes.require_welcome` raises.
    """
    declared = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if declared not in RAW_TYPES | {"", "application/json"}:
        raise OtherType
    read = _read_raw if declared in RAW_TYPES else _read_json
    with _seat(caller), TemporaryFile(prefix="crayon-push-") as file:
        yield read(request, caller, file)


class _Door:
    """Looks at a push as early as can be, and counts it when its archive is about to come."""

    def __init__(self, caller: Principal, *, app_name: str = "") -> None:
        pushes.require_welcome(caller=caller, app_name=app_name)
        self._caller = caller
        self._app_name = app_name
        self._heard: list[str] = []

    def hear_name(self, text: str) -> None:
        """Note what the body calls the app."""
        self._heard.append(text)

    def look(self) -> None:
        """Return if more of the body may be read."""
        while self._heard:
            self.require_same(validated(App, {"appName": self._heard.pop()}).app_name)

    def begin_archive(self, before: Mapping[str, object]) -> None:
        """Return if the archive may be read, which is counted; `before` is what came before it in the body."""
        if "appName" in before:
            validated(Push, before)
        self.look()
        pushes.count(caller=self._caller)

    def require_same(self, app_name: str) -> None:
        """Return if this is the app that was looked at. The first name that is known is looked at here."""
        if not self._app_name:
            pushes.require_pushable(caller=self._caller, app_name=app_name)
            self._app_name = app_name
        if app_name != self._app_name:
            raise OtherApp


def _read_json(request: HttpRequest, caller: Principal, file: IO[bytes]) -> Received:
    most = settings.ARCHIVE_MAX_MEGABYTES << 20
    # Base64 makes four bytes of three, and escaped slashes some more; what really counts is counted while reading.
    if (announced_length(request) or 0) > most * 3 // 2 + MOST_BESIDE:
        raise _too_large()
    known = query(request)
    door = _Door(caller, app_name=validated(App, known).app_name if "appName" in known else "")
    given = read_posted(
        _whole(request, before_more=door.look),
        file,
        most=most,
        too_large=_too_large(),
        on_app_name=door.hear_name,
        on_archive=door.begin_archive,
    )
    asked = validated(Push, given)
    door.require_same(asked.app_name)
    variables = env_vars.read(given["envVars"]) if "envVars" in given else None
    return _received(asked, file, variables, env_vars.odd_names(given.get("envVars")))


def _read_raw(request: HttpRequest, caller: Principal, file: IO[bytes]) -> Received:
    asked = validated(RawPush, query(request))
    left = settings.ARCHIVE_MAX_MEGABYTES << 20
    if (announced_length(request) or 0) > left:
        raise _too_large()
    _Door(caller, app_name=asked.app_name).begin_archive({})
    for piece in _whole(request):
        left -= len(piece)
        if left < 0:
            raise _too_large()
        file.write(piece)
    return _received(asked, file, None, "")


def _received(asked: Push | RawPush, file: IO[bytes], variables: Mapping[str, str] | None, warning: str) -> Received:
    commit = asked.commit_hash or ""
    push = pushes.Push(archive=file, variables=variables, commit=commit, warning=warning)
    return Received(app_name=asked.app_name, push=push)


def _whole(request: HttpRequest, *, before_more: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The body's pieces; `before_more` is called before each but the first is waited for.

    Raises Incomplete when fewer come than were announced, or TooLargeBeside for no end.
    """
    announced = announced_length(request)
    most = (settings.ARCHIVE_MAX_MEGABYTES << 20) * 8 + MOST_BESIDE
    came = 0
    try:
        for piece in pieces_of(request):
            came += len(piece)
            if came > most:
                raise TooLargeBeside
            yield piece
            if announced is None or came < announced:
                before_more()
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
def _seat(caller: Principal) -> Iterator[None]:
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
