"""Bodies too large to be kept in memory: which routes take them, and how they are read piece by piece."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # gunicorn's worker reads the constants before Django's settings are there
    from django.http import HttpRequest

# Paths of the routes that read their body with `pieces_of`. All other bodies are small and come at once.
LARGE_BODIES = frozenset({"/api/deploy/push"})
# Bytes of any other; gunicorn's worker has all of it before a thread begins.
SMALL_BODY = 1 << 20
# Whoever sends such a body more slowly, bytes per second, is given up on.
SLOWEST_RATE = 64 * 1024
_PIECE = 64 * 1024


class Unreadable(Exception):
    """The rest of the body did not come, or not as HTTP has it."""


def announced_length(request: "HttpRequest") -> int | None:
    """Bytes of the body; None when it comes in chunks, and nobody knows yet."""
    if _is_chunked(request):
        return None
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def pieces_of(request: "HttpRequest") -> Iterator[bytes]:
    """The body in pieces of at most 64 KB, each as soon as it has come. Raises Unreadable."""
    # Django's own stream takes a body without a length for empty, and waits until a piece is full.
    stream: Any = request.META["wsgi.input"]
    read = getattr(stream, "read1", stream.read)
    left = announced_length(request)
    # From here on Django knows that it is too late for `body`.
    request.read(0)
    while left is None or left > 0:
        try:
            piece = read(_PIECE if left is None else min(left, _PIECE))
        except Exception as error:  # a broken or silent connection, and gunicorn's own for chunks that don't add up
            raise Unreadable from error
        if not piece:
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _is_chunked(request: "HttpRequest") -> bool:
    return "HTTP_TRANSFER_ENCODING" in request.META and bool(request.META.get("wsgi.input_terminated"))
