"""The JSON API's frame: reading requests, the envelope, and one place that renders every error.

Success is `{"data": …}`, failure `{"error": "one sentence"}`, as the contract has it. Answers are plain
HttpResponses made by orjson: DRF's negotiation and renderers cost more than most views do.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast
from urllib.parse import parse_qsl

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from psycopg.errors import ForeignKeyViolation
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from core.actions import Required, action_of, authorize
from core.errors import ApplicationError, Conflict, Forbidden, Malformed, NotFound, Unauthenticated, Unavailable
from core.json_duplicates import require_names_once, shown
from core.needs import Asker, Needs, OutsideOfScope

logger = logging.getLogger(__name__)

_MOST_PARAMETERS = 50
# Where the parameters are kept once they are read: every request's are, and a view may want them.
_READ_QUERY = "crayon.query"
_FORM = "application/x-www-form-urlencoded"


class TooLarge(ApplicationError):
    """413: the body is larger than this server takes."""

    status = 413
    default = "The request's body is too large."


class NotJSON(ApplicationError):
    """415: the body is declared to be something other than JSON."""

    status = 415
    default = "Send the body as JSON, with `Content-Type: application/json`."


class NoSuchMethod(ApplicationError):
    """405: the address exists, the method doesn't."""

    status = 405
    default = "This method is not possible at this address."

    def __init__(self, *, allowed: Sequence[str] = ()) -> None:
        self.allowed = allowed
        super().__init__()


class DatabaseUnavailable(Unavailable):
    """503: PostgreSQL can't be reached; the next request tries again."""

    default = "The database can't be reached right now. Please try again in a moment."

    def __init__(self) -> None:
        super().__init__(retry_after=1)


class GoneMeanwhile(Conflict):
    """409: a row and one that refers to it were removed and made at the same moment, by two requests."""

    default = "This was removed or added to at the same moment, so nothing was done. Please try again."


def json_response(body: object, status: int = 200) -> HttpResponse:
    """A JSON answer that no cache keeps."""
    response = HttpResponse(orjson.dumps(body), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def success(data: object, status: int = 200) -> HttpResponse:
    """`{"data": data}`; datetimes and UUIDs become ISO 8601 and canonical text."""
    return json_response({"data": data}, status)


def failure(error: ApplicationError) -> HttpResponse:
    """`{"error": sentence}` with the error's status, and `Retry-After` where waiting helps.

    An error that has a code is `{"error": code, "message": sentence}`.
    """
    body = {"error": error.code, "message": error.sentence} if error.code else {"error": error.sentence}
    response = json_response(body, error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if isinstance(error, NoSuchMethod) and error.allowed:
        response["Allow"] = ", ".join(error.allowed)
    return response


def json_body(request: HttpRequest | Request, *, undeclared: bool = False) -> dict[str, object]:
    """The request's body as a JSON object; {} when there is none.

    Raises Malformed, also for a name that is given twice, NotJSON or TooLarge. The declared type may be
    absent, but not something else; with `undeclared` it may be what `curl -d` declares for want of another.
    """
    declared = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    try:
        raw = request._request.body if isinstance(request, Request) else request.body  # noqa: SLF001 - DRF offers no other way past its parsers
    except RequestDataTooBig as error:
        raise TooLarge from error
    if not raw:
        return {}
    if declared not in {"", "application/json", *([_FORM] if undeclared else [])}:
        raise NotJSON
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed("The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    require_names_once(raw, body)
    return body


def query(request: HttpRequest | Request) -> dict[str, str]:
    """The query's parameters, each given once.

    Raises Malformed for one that is given twice or holds a NUL, for what is not UTF-8, and for too many.
    """
    kept: dict[str, str] | None = request.META.get(_READ_QUERY)
    if kept is not None:
        return kept
    parameters: dict[str, str] = {}
    try:
        raw = request.META.get("QUERY_STRING", "").encode("latin-1").decode()
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except UnicodeDecodeError as error:
        raise Malformed("The address's query is not UTF-8.") from error
    except ValueError as error:
        raise Malformed("There are too many parameters.") from error
    for name, value in pairs:
        if name in parameters:
            raise Malformed(f"The parameter {shown(name)} is given more than once.")
        if "\0" in value or "\0" in name:
            raise Malformed(f"{shown(name)}: Null characters are not allowed.")
        parameters[name] = value
    request.META[_READ_QUERY] = parameters
    return parameters


def required(parameters: Mapping[str, str], name: str, *, at_most: int | None = None) -> str:
    """One parameter of a query. Raises Malformed, in `core.schemas`'s words, for one missing, blank or too long."""
    value = parameters.get(name)
    if value is None:
        raise Malformed(f"{name}: This field is required.")
    if not value.strip():
        raise Malformed(f"{name}: This field may not be blank.")
    if at_most is not None and len(value) > at_most:
        raise Malformed(f"{name}: Ensure this field has no more than {at_most} characters.")
    return value


class Endpoint(APIView):
    """Base of every JSON view: authenticate, check permission and need, call the method; nothing else.

    Subclasses answer HttpResponses. Views open to strangers say `permission_classes = [AllowAny]`
    and `authentication_classes = []`; all others say in `needs` what each of their methods needs (HEAD needs what GET
    does), and a method of which nothing is said is refused.
    """

    http_method_names = ("get", "head", "post", "put", "patch", "delete")
    needs: ClassVar[Mapping[str, Needs]] = {}
    # What policies are asked about, for all methods or by method (`core.actions`).
    required_action: ClassVar[Required] = ""
    # What DRF would put on answers that it renders itself.
    default_response_headers: ClassVar[dict[str, str]] = {}

    def initialize_request(self, request: HttpRequest, *_args: object, **_kwargs: object) -> Request:
        """DRF's request without parsers and negotiation, which nothing here asks for."""
        return Request(request, authenticators=self.get_authenticators())

    def initial(self, request: Request, *_args: object, **_kwargs: object) -> None:
        """Authenticate, check the permission, and refuse a query that can't be read, wanted or not.

        DRF's negotiation, versioning and throttles are skipped: one format, one version, own limits.
        """
        if AllowAny not in self.permission_classes or self.authentication_classes:
            self.perform_authentication(request)
            self.check_permissions(request)
            self.require(request)
        if request.META.get("QUERY_STRING"):
            query(request)

    def require(self, request: Request) -> None:
        """Raise Forbidden (403) unless the credential will do for this method, and the policies allow what it does."""
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method.lower() not in self.http_method_names or not hasattr(self, method.lower()):
            # Nothing is done by a method that the address doesn't have; that is the answer.
            return
        need = self.needs.get(method)
        if need is None:
            raise Forbidden
        need.require(cast("Asker", request.user))
        authorize(request.user, action_of(self, method))

    def finalize_response(  # type: ignore[override]  # DRF's stubs want its own Response type
        self, _request: Request, response: HttpResponseBase, *_args: object, **_kwargs: object
    ) -> HttpResponseBase:
        """Pass the answer on: it is rendered already."""
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]  # see above
        """Render every exception as the contract's JSON."""
        error = logged_error(exc)
        response = failure(error)
        if error.status == Unauthenticated.status:
            response["WWW-Authenticate"] = self.get_authenticate_header(self.request) or "Bearer"
        if error.status == NoSuchMethod.status:
            response["Allow"] = ", ".join(self.allowed_methods)
        if isinstance(error, OutsideOfScope):
            challenge = self.get_authenticate_header(self.request) or "Bearer"
            told = f'error="insufficient_scope", scope="{error.scope}"'
            response["WWW-Authenticate"] = challenge.replace('error="invalid_token"', told)
        return response


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[ApplicationError]], ...] = (
    ((exceptions.MethodNotAllowed,), NoSuchMethod),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthenticated),
    ((Http404,), NotFound),
    ((PermissionDenied, exceptions.PermissionDenied), Forbidden),
    ((RequestDataTooBig,), TooLarge),
    ((UnreadablePostError, SuspiciousOperation, exceptions.ParseError), Malformed),
    ((OperationalError, InterfaceError), DatabaseUnavailable),
)


def as_application_error(exc: Exception) -> ApplicationError:
    """The error a caller may see for any exception; details stay behind."""
    if isinstance(exc, ApplicationError):
        return exc
    for kinds, meaning in _MEANINGS:
        if isinstance(exc, kinds):
            return meaning()
    # PostgreSQL asks at the end of a transaction whether what its rows refer to is there.
    if isinstance(exc, IntegrityError) and isinstance(exc.__cause__, ForeignKeyViolation):
        return GoneMeanwhile()
    return ApplicationError()


def logged_error(exc: Exception) -> ApplicationError:
    """Give the error to answer with, and log its cause when the fault is ours (5xx)."""
    error = as_application_error(exc)
    if error.status >= ApplicationError.status:
        logger.warning("answering %s", error.status, exc_info=exc)
    return error
