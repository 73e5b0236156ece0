"""Shapes of what the API asks and tells about keys."""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from accounts import networks
from accounts.models.api_keys import LONGEST_NAME
from accounts.principals import SCOPES
from accounts.services.api_keys import DEFAULT_DAYS, MOST_DAYS
from core.schemas import Request, Value, printable, words

_MOST_NETWORKS = 20
_LONGEST_KEY = 512
_MOST_HOURS = 24


def _scopes(value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise ValueError("This must be a list of scopes with at least one in it; leave it out for all.")
    for scope in value:
        if not isinstance(scope, str) or scope not in SCOPES:
            raise ValueError(f"There are these scopes: {', '.join(SCOPES)}.")
    return frozenset(value)


def _networks(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_NETWORKS:
        raise ValueError(f"This must be a list of at most {_MOST_NETWORKS} networks.")
    return networks_of(value)


def networks_of(texts: list[Any]) -> tuple[str, ...]:
    """Networks in their one spelling. Raises ValueError with a sentence."""
    try:
        return tuple(dict.fromkeys(networks.canonical(text) for text in texts))
    except (AttributeError, ValueError):
        raise ValueError("A network looks like 192.0.2.0/24 or 2001:db8::/32.") from None


_NAME = words(most=LONGEST_NAME)
_SCOPES = Value(_scopes, {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}, "minItems": 1})
_NETWORKS = Value(_networks, {"type": "array", "items": {"type": "string"}, "maxItems": _MOST_NETWORKS})
_DAYS = Field(ge=1, le=MOST_DAYS)


class NewKey(Request):
    """What a key is to be. Without `scopes` it may all that its person may."""

    name: Annotated[str, _NAME, AfterValidator(printable)]
    scopes: Annotated[frozenset[str] | None, _SCOPES] = None
    expires_in_days: Annotated[int, _DAYS] = DEFAULT_DAYS
    networks: Annotated[tuple[str, ...], _NETWORKS] = ()


class NewWorkerKey(Request):
    """What a worker's key is to be. Without `expires_in_days` it does not expire."""

    display_name: Annotated[str, _NAME, AfterValidator(printable)]
    expires_in_days: Annotated[int, _DAYS] | None = None
    networks: Annotated[tuple[str, ...], _NETWORKS] = ()


class Rotation(Request):
    """How long the old key goes on beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=_MOST_HOURS)] = _MOST_HOURS


class Registration(Request):
    """Who registers."""

    name: Annotated[str, words(most=LONGEST_NAME, may_be_blank=True), AfterValidator(printable)] = ""


class KeyToValidate(Request):
    """A key that somebody presented to another service."""

    api_key: Annotated[str, words(most=_LONGEST_KEY, trimmed=False)]


class Key(TypedDict):
    """A key, without what it opens things with; `start` is what it begins with."""

    id: str
    name: str
    start: str
    organization: str
    scopes: list[str] | None
    networks: list[str]
    createdAt: datetime
    expiresAt: datetime | None
    lastUsedAt: datetime | None
    lastUsedAddress: str | None


class NewKeyAnswer(Key):
    """A new key; `key` is told this once."""

    key: str


class WorkerToken(TypedDict):
    """A worker's key, told this once."""

    token: str


class RegisteredPerson(TypedDict):
    """A new person and their key, told this once."""

    user_id: str
    api_key: str
    message: str


class ValidatedKey(TypedDict):
    """Whose key it is; only `error` beside `valid` where it is not good."""

    valid: bool
    error: NotRequired[str]
    userId: NotRequired[str | None]
    orgSlug: NotRequired[str]
    tenantSlug: NotRequired[str]
    orgId: NotRequired[str]
    principalType: NotRequired[Literal["User", "Worker", "Service"]]
    principalId: NotRequired[str]
    role: NotRequired[str]
    permissions: NotRequired[dict[str, list[str]]]
    keyId: NotRequired[str]
    name: NotRequired[str]
    expiresAt: NotRequired[datetime | None]
