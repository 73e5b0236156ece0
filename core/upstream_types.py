"""Reading the JSON of other services by types (Pydantic, ADR 0014): strictly where used, blind to the rest.

A shape is a frozen dataclass whose fields have these types; `reader` makes the function that reads it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainValidator, StringConstraints, TypeAdapter, ValidationError
from pydantic.types import Strict
from pydantic_core import PydanticCustomError

Shape = TypeVar("Shape")


class Unreadable(Exception):
    """An answer lacks a field or has it in another kind; the message names the field, not its value."""


def reader(shape: type[Shape]) -> Callable[[object], Shape]:
    """The function that gives a JSON value as `shape`. It raises Unreadable for what isn't."""
    adapter = TypeAdapter(shape)

    def read(body: object) -> Shape:
        try:
            return adapter.validate_python(body)
        except ValidationError as error:
            raise Unreadable(_first_problem(error)) from None  # what was read may be a secret

    return read


def _first_problem(error: ValidationError) -> str:
    """Where the first problem is, and what a check said that raised ValueError."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"])) or "body"
    return f"{place}: {problem['ctx']['error']}" if problem["type"] == "value_error" else place


def parsed_moment(value: object) -> datetime | None:
    """An ISO 8601 time in UTC, or None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> datetime:
    found = parsed_moment(value)
    if found is None:
        raise PydanticCustomError("moment", "no time of ISO 8601")
    return found


def _or(empty: object) -> BeforeValidator:
    """Null read as something empty: services written in Go say it for empty lists, others for what isn't set."""
    return BeforeValidator(lambda value: empty if value is None else value)


NULL_IS_EMPTY_LIST = _or(())
NULL_IS_EMPTY_OBJECT = _or({})
# A string with something in it.
Text = Annotated[str, StringConstraints(min_length=1)]
# A string, or "" for null; with a default of "" it may be absent.
OptionalText = Annotated[str, _or("")]
Object = dict[str, Any]
Whole = Annotated[int, Strict()]
# Only `true` is true; whatever else stands there is not.
IsTrue = Annotated[bool, PlainValidator(lambda value: value is True)]
# ISO 8601, in UTC.
Moment = Annotated[datetime, PlainValidator(_moment)]
