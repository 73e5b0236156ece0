"""The way our own code calls out: a pooled connection, one time budget, a bounded retry, typed failures.

Built on urllib3's pool rather than `requests`: it reads no environment on each call and costs about
half. Proxy and CA file come from settings. Redirects are never followed.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import orjson
import urllib3
from django.conf import settings
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from core.errors import UpstreamFailed, UpstreamTimeout
from core.http_connections import connection_pool
from core.request_context import REQUEST_ID_HEADER, current_request_id, deadline_of

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 2.0
_CHUNK_BYTES = 1 << 16
_LONGEST_BODY_BYTES = 32 << 20
_PAUSE_BEFORE_RETRY_SECONDS = 0.1
_HTTP_OK = 200
_HTTP_REDIRECT = 300


class ServiceFailed(UpstreamFailed):
    """The service could not be reached, cut the connection or answered nonsense.

    `sent` tells whether the request may have arrived there, so that a change may have been made.
    """

    def __init__(self, service: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(f"{service} can't be reached right now. Please try again in a moment.")


class ServiceTimeout(UpstreamTimeout):
    """The service did not answer within the budget; a change may have been made there."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} did not answer in time. Please try again in a moment.")


def may_still_arrive(error: Exception) -> bool:
    """Whether what was sent before this failure may yet reach the service and be carried out."""
    return isinstance(error, ServiceTimeout) or (isinstance(error, ServiceFailed) and error.sent)


@dataclass(frozen=True, slots=True)
class Response:
    """An upstream's answer. `headers` has lower-case names; `body` never shows in a repr."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return _HTTP_OK <= self.status < _HTTP_REDIRECT

    def json(self) -> object:
        """The body as JSON, None when it is not declared or not readable as such."""
        if "json" not in self.headers.get("content-type", ""):
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Service:
    """One outside service behind one base address.

    `budget` is the number of seconds a call may take in all, its retry included; with `shares_budget` all calls
    of one request to services of this name have so many together, from the first one on. `longest_body` is for services
    that aren't trusted: an answer of more bytes is a failure, with 0 no body is read at all, and none is decoded,
    since little that is compressed may become very much. Safe for threads.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, with a default
        self,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        budget: float = 5.0,
        shares_budget: bool = False,
        longest_body: int | None = None,
    ) -> None:
        self.name = name
        self._pool = connection_pool(base_url)
        parts = urlsplit(base_url)
        self._base = parts.path.rstrip("/")
        self._headers = dict(headers)
        if settings.OUTGOING_PROXY_URL and parts.scheme == "http":
            # A proxy is asked for the whole address (RFC 9112, section 3.2.2); https goes through a tunnel.
            self._base = f"http://{parts.netloc}{self._base}"
            self._headers["Host"] = parts.netloc
        self._budget = budget
        self._shares_budget = shares_budget
        self._is_trusted = longest_body is None
        self._longest_body = _LONGEST_BODY_BYTES if longest_body is None else longest_body

    def __repr__(self) -> str:
        return f"<Service {self.name}>"

    def call(  # noqa: PLR0913 - an HTTP request has this many parts
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> Response:
        """Send one request; `path` has its variable parts passed through `segment`.

        `repeatable` says that asking twice does no harm (by default for GET): a cut or refused
        connection is then tried once more within the budget. Raises ServiceFailed or ServiceTimeout;
        any status is an Answer.
        """
        deadline = self._deadline()
        target = f"{self._base}{path}"
        if encoded := urlencode(list(query), quote_via=quote, safe=""):
            target = f"{target}?{encoded}"
        sent = {**self._headers, REQUEST_ID_HEADER: current_request_id(), **(headers or {})}
        body = None
        if json is not None:
            body, sent["Content-Type"] = orjson.dumps(json), "application/json"
        elif form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        attempts = 2 if (method == "GET" if repeatable is None else repeatable) else 1
        while True:
            attempts -= 1
            try:
                return self._send(method, target, sent, body, deadline)
            except ServiceFailed as failure:
                logger.warning("%s: %s %s failed: %s", self.name, method, path, type(failure.__cause__).__name__)
                if not attempts or time.monotonic() + _PAUSE_BEFORE_RETRY_SECONDS >= deadline:
                    raise
                time.sleep(_PAUSE_BEFORE_RETRY_SECONDS)
            except ServiceTimeout:
                logger.warning("%s: %s %s took longer than %s s", self.name, method, path, self._budget)
                raise

    def _deadline(self) -> float:
        if self._shares_budget:
            return deadline_of(self.name, seconds=self._budget)
        return time.monotonic() + self._budget

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Response:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServiceTimeout(self.name)
        try:
            response = self._pool.urlopen(
                method,
                target,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=left, connect=min(left, _CONNECT_SECONDS)),
                retries=False,
                redirect=False,
                assert_same_host=False,  # an address of the upstream's host is what a proxy is asked for
                preload_content=False,
            )
            content = self._read(response)
        except ReadTimeoutError as error:
            raise ServiceTimeout(self.name) from error
        except (NewConnectionError, ConnectTimeoutError) as error:
            if time.monotonic() >= deadline:
                raise ServiceTimeout(self.name) from error
            raise ServiceFailed(self.name, sent=False) from error
        except (HTTPError, OSError, ValueError) as error:
            raise ServiceFailed(self.name, sent=True) from error
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return Response(status=response.status, headers=lowered, body=content)

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Read the whole body; an upstream that floods is cut off, and by its deadline one that drips."""
        if not self._longest_body:
            response.close()
            return b""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := response.read1(_CHUNK_BYTES, decode_content=self._is_trusted):
                chunks.append(chunk)
                size += len(chunk)
                if size > self._longest_body:
                    raise ServiceFailed(self.name, sent=True)  # noqa: TRY301 - the connection must be closed as well
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return b"".join(chunks)


def segment(value: str) -> str:
    """One path segment, encoded whole: no slash, question mark or hash of the value survives."""
    return quote(value, safe="")
