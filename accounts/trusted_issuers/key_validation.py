"""API keys that the trusted application made: it is asked about each (`validation_url`), and a yes is kept for 30 s.

Only what looks like an API key is ever sent there: never an access token, and no key that this server made itself.
"""

import logging
import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

import orjson
from django.conf import settings
from pydantic import BeforeValidator, StringConstraints

from accounts import key_format
from accounts.models import APIKey
from accounts.principals import SCOPES, Kind, Principal, Proof
from accounts.trusted_issuers.errors import InvalidForeignKey, IssuerAway
from accounts.trusted_issuers.resolution import Foreigner, resolve
from core import cache
from core.crypto import CannotOpen, digest, keyring
from core.errors import TooManyRequests
from core.http_client import Service, ServiceFailed, ServiceTimeout
from core.network_limits import NetworkLimit
from core.request_context import current_address
from core.upstream_types import Moment, OptionalText, Text, Unreadable, reader

logger = logging.getLogger(__name__)

KEPT_SECONDS = 30
_SHAPE = re.compile(r"[a-z][a-z0-9]{0,30}_(sk|wk)_[A-Za-z0-9_-]{20,200}")
_LONGEST_BYTES = 64 * 1024
_OK = 200
_TOO_MANY = 429
_ITS_FAULT = 500
# A guess costs the application a call and this server a thread for as long as that takes.
REFUSED_PER_ADDRESS = NetworkLimit("foreign-key-refused", 60, "minute")
_CALLS_AT_ONCE = threading.BoundedSemaphore(8)
_KINDS = {"User": Kind.USER, "Worker": Kind.WORKER, "Service": Kind.SERVICE}
_BY_PREFIX = {"sk": "User", "wk": "Worker"}


def _lowered(value: object) -> object:
    return "" if value is None else value.lower() if isinstance(value, str) else value


Label = Annotated[str, StringConstraints(min_length=1, max_length=255)]
OptionalLabel = Annotated[OptionalText, StringConstraints(max_length=255)]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A yes. `permissions` has verbs by kind of thing; where it is null or absent, nothing is narrowed."""

    orgSlug: Label  # noqa: N815 - the field's name
    userId: OptionalLabel = ""  # noqa: N815
    orgId: OptionalLabel = ""  # noqa: N815
    principalType: Literal["User", "Worker", "Service"] | None = None  # noqa: N815
    principalId: OptionalLabel = ""  # noqa: N815
    keyId: OptionalLabel = ""  # noqa: N815
    name: OptionalText = ""
    role: Annotated[Literal["", "owner", "admin", "member", "worker"], BeforeValidator(_lowered)] = ""
    permissions: dict[str, list[Text]] | None = None
    expiresAt: Moment | None = None  # noqa: N815


_read_answer = reader(_Answer)


def foreign_key(credential: str, *, now: datetime) -> Principal | None:
    """Whoever the trusted application's key is for; None for what is no API key, and where nobody is to be asked.

    It comes after this server's own keys in a chain, since another server of this kind has the same prefixes. Raises
    InvalidForeignKey (401), IssuerAway (503), TooManyRequests, UnknownOrganization, Suspended or Waiting (403).
    """
    shape = _SHAPE.fullmatch(credential)
    if settings.KEY_VALIDATION is None or shape is None:
        return None
    body = _kept(credential, now=now)
    if body is None:
        _require_foreign(credential)
        body = _asked(credential)
        answer = _read(body)
        _keep(credential, body, until=_until(answer, now=now))
    else:
        answer = _read(body)
    if answer.expiresAt is not None and answer.expiresAt <= now:
        raise InvalidForeignKey
    return resolve(_foreigner(answer, by_prefix=_BY_PREFIX[shape.group(1)]), now=now)


def _require_foreign(key: str) -> None:
    """Raise InvalidForeignKey for a key that this server made, or that is none of anybody's by its checksum.

    Whatever a chain in front of this one has let through: no key of ours is ever told to somebody else.
    """
    prefix = next((prefix for prefix in (key_format.PERSONAL, key_format.WORKER) if key.startswith(prefix)), None)
    if prefix and not key_format.is_whole(key, prefix):
        raise InvalidForeignKey
    if APIKey.objects.filter(digest=digest(key)).exists():
        raise InvalidForeignKey


def _foreigner(answer: _Answer, *, by_prefix: str) -> Foreigner:
    """Whom the answer speaks of. Raises InvalidForeignKey where it names nobody."""
    kind = _KINDS[answer.principalType or by_prefix]
    subject = answer.userId if kind == Kind.USER else answer.principalId or answer.keyId
    role = answer.role or "member"
    if not subject or (kind == Kind.USER and role == "worker"):
        logger.warning("the trusted application says yes to a key of nobody, or with a role that doesn't fit")
        raise InvalidForeignKey
    return Foreigner(
        subject=subject,
        kind=kind,
        proof=Proof.API_KEY if kind == Kind.USER else Proof.WORKER_KEY,
        # A person's name is told by their tokens; the key's own is no name of theirs.
        name="" if kind == Kind.USER else answer.name,
        organization_slug=answer.orgSlug,
        organization_id=answer.orgId,
        role=role,
        scopes=_scopes(answer),
    )


def _scopes(answer: _Answer) -> frozenset[str] | None:
    """What of the scopes here the key has; verbs and things that aren't known here open nothing."""
    if answer.permissions is None:
        return None
    named = {f"{thing}:{verb}" for thing, verbs in answer.permissions.items() for verb in verbs}
    return frozenset(named & SCOPES.keys())


def _asked(key: str) -> dict[str, Any]:
    """The application's yes. Raises InvalidForeignKey for a no, and IssuerAway when there is no answer."""
    address = current_address()
    REFUSED_PER_ADDRESS.require_left(address)
    if not _CALLS_AT_ONCE.acquire(blocking=False):
        raise TooManyRequests(retry_after=1)
    try:
        return _say_yes(key)
    except (InvalidForeignKey, IssuerAway):
        REFUSED_PER_ADDRESS.spend(address)
        raise
    finally:
        _CALLS_AT_ONCE.release()


def _say_yes(key: str) -> dict[str, Any]:
    asked: Any = settings.KEY_VALIDATION
    service, path = _application(
        asked.validation_url, asked.timeout_secs, settings.OUTGOING_PROXY_URL, settings.OUTGOING_CA_FILE
    )
    try:
        answer = service.call("POST", path, json={"apiKey": key}, repeatable=False)
    except (ServiceFailed, ServiceTimeout):
        raise IssuerAway from None
    if answer.status == _TOO_MANY or answer.status >= _ITS_FAULT:
        logger.warning("the trusted application answered %s when asked about a key", answer.status)
        raise IssuerAway
    body = answer.json()
    if answer.status != _OK or not isinstance(body, dict) or not isinstance(body.get("valid"), bool):
        logger.warning("the trusted application's answer about a key can't be read: status %s", answer.status)
        raise InvalidForeignKey
    if not body["valid"]:
        raise InvalidForeignKey
    return body


def _read(body: dict[str, Any]) -> _Answer:
    try:
        return _read_answer({"orgSlug": body.get("tenantSlug"), **body})
    except Unreadable as error:
        logger.warning("the trusted application's answer about a key can't be read: %s", error)
        raise InvalidForeignKey from None


def _until(answer: _Answer, *, now: datetime) -> datetime:
    longest = now + timedelta(seconds=KEPT_SECONDS)
    return longest if answer.expiresAt is None else min(longest, answer.expiresAt)


def _place(key: str) -> str:
    """Where a yes is kept: by the key's digest and by whoever says it, so that another's yes is none."""
    asked: Any = settings.KEY_VALIDATION
    return f"foreign-key:{digest(asked.validation_url).hex()[:16]}:{digest(key).hex()}"


def _keep(key: str, body: dict[str, Any], *, until: datetime) -> None:
    """Keep a yes sealed, with its end in it: who can write to the cache makes no yes, and no old one young again."""
    place = _place(key)
    kept = orjson.dumps({"until": until.timestamp(), "body": body})
    cache.write(place, keyring().seal(kept, place=place), seconds=KEPT_SECONDS)


def _kept(key: str, *, now: datetime) -> dict[str, Any] | None:
    place = _place(key)
    sealed = cache.read([place]).get(place)
    if not isinstance(sealed, bytes):
        return None
    try:
        found = orjson.loads(keyring().open(sealed, place=place))
    except (CannotOpen, orjson.JSONDecodeError):
        return None
    left = found["until"] - now.timestamp()
    body: dict[str, Any] = found["body"]
    return body if 0 < left <= KEPT_SECONDS else None


@lru_cache(maxsize=4)
def _application(address: str, seconds: float, _proxy: str, _authorities: str) -> tuple[Service, str]:
    parts = urlsplit(address)
    service = Service(
        name="The trusted application",
        base_url=f"{parts.scheme}://{parts.netloc}",
        headers={"Accept": "application/json"},
        budget=seconds,
        longest_body=_LONGEST_BYTES,
    )
    return service, urlunsplit(("", "", parts.path or "/", parts.query, ""))


def forget_all() -> None:
    """Let go of connections; for tests."""
    _application.cache_clear()
