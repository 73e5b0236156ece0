"""Describing endpoints in the OpenAPI document: the envelope, and the errors that every route may answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import TypedDict

from core.schemas import Request

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


class Error(TypedDict):
    """A failure: one sentence for a person."""

    error: str


class _Described:
    """A type in the document; with `envelope` as what is in `data` of an answer of that name."""

    def __init__(self, shape: Any, *, envelope: str = "") -> None:
        self.shape = shape
        self.envelope = envelope


class _DescribedInDocument(OpenApiSerializerExtension):  # type: ignore[misc]  # spectacular is untyped
    """How spectacular gets a type's schema: from Pydantic."""

    target_class = _Described

    def get_name(self, auto_schema: object, direction: object) -> str:  # noqa: ARG002 - spectacular's signature
        """What the component is called."""
        return str(self.target.envelope or self.target.shape.__name__)

    def get_identity(self, auto_schema: object, direction: object) -> str:
        """What tells it from others: its name."""
        return self.get_name(auto_schema, direction)

    def map_serializer(self, auto_schema: Any, direction: object) -> dict[str, Any]:  # noqa: ARG002 - as above
        """The schema; those of types inside of it become components as well."""
        schema = TypeAdapter(self.target.shape).json_schema(
            ref_template="#/components/schemas/{model}", schema_generator=_OpenAPISchema
        )
        for name, inner in schema.pop("$defs", {}).items():
            auto_schema.registry.register_on_missing(
                ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=_tidy(inner), object=name)
            )
        if not self.target.envelope:
            return dict(_tidy(schema))
        if "$ref" not in schema and "items" not in schema:
            name = self.target.shape.__name__
            component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=_tidy(schema), object=name)
            auto_schema.registry.register_on_missing(component)
            schema = {"$ref": f"#/components/schemas/{name}"}
        return {"type": "object", "properties": {"data": schema}, "required": ["data"]}


class _OpenAPISchema(GenerateJsonSchema):
    """Pydantic's schemas in the words of OpenAPI 3.0, which has no type `null`."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """What may be null beside what it is else."""
        return {**self.generate_inner(schema["schema"]), "nullable": True}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """One of a few words, be it only one."""
        return {"type": "string", "enum": list(schema["expected"])}


def _tidy(schema: Any) -> Any:
    """The schema without titles, which repeat names, and without null as what is left out."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _tidy(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str)) and not (name == "default" and value is None)
    }


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # spectacular is untyped
    """How callers authenticate."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - spectacular's signature
        """An HTTP bearer token."""
        return {"type": "http", "scheme": "bearer"}


class AccessTokenScheme(BearerScheme):
    """The same header, where only a token of the authorization server's is taken."""

    target_class = "accounts.oauth.views.tokens.AccessTokenAuthentication"
    name = "accessToken"


def documented(  # noqa: PLR0913 - an operation has this many parts
    *,
    summary: str,
    data: Any,
    tag: str,
    request: Any = None,
    parameters: Sequence[OpenApiParameter] = (),
    errors: Sequence[int] = (),
    public: bool = False,
    enveloped: bool = True,
    status: int = 200,
    operation_id: str | None = None,
) -> Callable[[View], View]:
    """Describe a view's method: what is in `data`, and which statuses it may answer; `status` is that of success.

    `request` is the body's type, or one for each media type. `operation_id` is for what would have the name of another.
    """
    name = f"{summary.title().replace(' ', '')}Answer"
    body = _Described(data, envelope=name if enveloped else "")
    statuses = sorted({*_ALWAYS, *(() if public else _WITH_TOKEN), *errors})
    answers = {code: OpenApiResponse(_Described(Error), description=_ERRORS[code]) for code in statuses}
    decorate: Callable[[View], View] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=[tag],
        request=_of_request(request),
        parameters=list(parameters),
        responses={status: OpenApiResponse(body, description="Done."), **answers},
    )
    return decorate


def _of_request(request: Any) -> Any:
    if isinstance(request, Mapping):
        return {media_type: _of_request(body) for media_type, body in request.items()}
    return _Described(request) if isinstance(request, type) and issubclass(request, Request) else request
