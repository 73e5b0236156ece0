"""The WSGI application."""

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from core import startup
from core.streamed_bodies import LARGE_BODIES

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()
# All that serves routes is loaded now, instead of by whoever asks first.
get_resolver().url_patterns  # noqa: B018 - loads at reading
startup.require()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Serve a request."""
    chunked = "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated")
    if chunked and environ.get("PATH_INFO") not in LARGE_BODIES:
        _measure_body(environ)
    return _django(environ, start_response)


def _measure_body(environ: "WSGIEnvironment") -> None:
    """Give a body that came in chunks a length: Django takes one without for empty.

    Proxies send what came to them over HTTP/2 that way. One byte more than is allowed is enough to
    tell that it is too much.
    """
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
