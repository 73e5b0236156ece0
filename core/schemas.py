"""Requests and answers by their types (Pydantic, ADR 0014): what checks a request, and what describes both.

A request is a `Request`, whose fields have these types. An answer is a TypedDict: it is encoded as it stands, and mypy
compares it with its description. `core.openapi` makes the document from both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from core.errors import Malformed

Asked = TypeVar("Asked", bound="Request")

_SENTENCES = {
    "missing": "This field is required.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "dict_type": "This must be an object with names and values.",
    "model_type": "This must be an object with names and values.",
}


class Request(BaseModel):
    """A request's fields, in camel case on the wire. What it does not name is ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


def validated(shape: type[Asked], data: Mapping[str, object]) -> Asked:
    """`data` in its shape. Raises Malformed with the first problem, naming the field."""
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        raise Malformed(_sentence(error.errors(include_url=False)[0])) from None  # what was sent may be a secret


def _sentence(problem: ErrorDetails) -> str:
    """What is wrong, and with which field."""
    if problem["type"] == "value_error":
        sentence = str(problem["ctx"]["error"])
    elif problem["type"] != "missing" and problem["input"] is None:
        sentence = "This field may not be null."
    else:
        sentence = _SENTENCES.get(problem["type"], problem["msg"])
    return f"{'.'.join(map(str, problem['loc']))}: {sentence}"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """How a field is read that has rules of its own: by `read`, which raises ValueError with a sentence.

    `schema` is what it is in the OpenAPI document.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, object]

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)


def words(
    *,
    most: int | None = None,
    may_be_blank: bool = False,
    trimmed: bool = True,
    check: Callable[[str], str] | None = None,
) -> Value:
    """How a string is read: at most so long, and one that a database can keep. `check` sees it first, and gives it."""

    def read(value: object) -> str:
        if value is None:
            raise ValueError("This field may not be null.")
        if not isinstance(value, str):
            raise ValueError("Not a valid string.")  # noqa: TRY004 - Pydantic passes a TypeError on
        text = value.strip() if trimmed else value
        if not text:
            if may_be_blank:
                return ""
            raise ValueError("This field may not be blank.")
        text = check(text) if check else text
        if most is not None and len(text) > most:
            raise ValueError(f"Ensure this field has no more than {most} characters.")
        if "\0" in text:
            raise ValueError("Null characters are not allowed.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"Surrogate characters are not allowed: U+{ord(text[error.start]):X}.") from error
        return text

    return Value(read, {"type": "string"} | ({} if most is None else {"maxLength": most}))


def printable(text: str) -> str:
    """Words that people will be shown: without control characters, line breaks and turned writing directions."""
    if not text.isprintable():
        raise ValueError("Only printable characters are allowed.")
    return text


def one_of(values: Sequence[str]) -> Value:
    """How one of a few words is read."""

    def read(value: object) -> str:
        if value is None:
            raise ValueError("This field may not be null.")
        if str(value) not in values:
            raise ValueError(f'"{value}" is not a valid choice.')
        return str(value)

    return Value(read, {"type": "string", "enum": list(values)})


def told(sentence: str | None = None, **schema: Any) -> Any:
    """What the document says of a field, beside its type."""
    return Field(description=sentence, json_schema_extra=schema or None)
