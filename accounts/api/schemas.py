"""Shapes of the login API's requests and answers."""

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from core.schemas import Request, printable, words


class Start(Request):
    """What a CLI may say of itself."""

    client_name: Annotated[str, words(most=100, may_be_blank=True), AfterValidator(printable)] = ""
    hostname: Annotated[str, words(most=255, may_be_blank=True), AfterValidator(printable)] = ""


class Started(TypedDict):
    """The code to show and the secret to keep."""

    code: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    secret: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Status(TypedDict):
    """A poll's answer; the token only with `approved`."""

    status: Literal["pending", "approved", "denied", "expired"]
    token: NotRequired[str]


class Revoked(TypedDict):
    """A logout's answer."""

    status: Literal["revoked"]
