"""Describing endpoints in the OpenAPI document: the envelope, and the errors that every route may answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

View = TypeVar("View", bound=Callable[..., Any])

_ERRORS = {
    400: "The request can't be read, or a field is missing or malformed.",
    401: "No token, or one that doesn't work. On the command line: `crayon logout`, then `crayon login`.",
    403: "Known, but not allowed.",
    404: "Absent, or not visible to this caller.",
    405: "The address exists, the method doesn't.",
    409: "The state forbids it.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    502: "An upstream service failed.",
    503: "Not configured here, or not possible right now.",
    504: "An upstream service did not answer in time.",
}
_ALWAYS = (400, 405, 413, 415, 429, 503)
_WITH_TOKEN = (401, 403)


class ErrorSerializer(serializers.Serializer[Any]):
    """A failure: one sentence for a person."""

    error = serializers.CharField()


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # spectacular is untyped
    """How callers authenticate."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - spectacular's signature
        """An HTTP bearer token."""
        return {"type": "http", "scheme": "bearer"}


def documented(  # noqa: PLR0913 - an operation has this many parts
    *,
    summary: str,
    data: Any,
    tag: str,
    request: type[serializers.Serializer[Any]] | Mapping[str, Any] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    errors: Sequence[int] = (),
    public: bool = False,
    enveloped: bool = True,
    status: int = 200,
) -> Callable[[View], View]:
    """Describe a view's method: what is in `data` (a serializer or field), and which statuses it may answer.

    `status` is that of success.
    """
    name = f"{summary.title().replace(' ', '')}Answer"
    body = inline_serializer(name=name, fields={"data": data}) if enveloped else data
    statuses = sorted({*_ALWAYS, *(() if public else _WITH_TOKEN), *errors})
    answers = {code: OpenApiResponse(ErrorSerializer, description=_ERRORS[code]) for code in statuses}
    decorate: Callable[[View], View] = extend_schema(
        summary=summary,
        tags=[tag],
        request=request,
        parameters=list(parameters),
        responses={status: OpenApiResponse(body, description="Done."), **answers},
    )
    return decorate
