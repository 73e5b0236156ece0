"""Keys that stand in a file instead of the database: STATIC_API_KEYS_FILE, for services of an organization.

    [[keys]]
    key = "…"                      # at least 32 characters, random
    org_id = "…"                   # the id of an organization
    principal_type = "Service"     # or "Worker", or "User"
    principal_id = "billing"       # a name; for a "User" the id of a member of the organization
    role = "MEMBER"                # or "ADMIN", or "OWNER"

Nothing of a key but its digest is kept, and no error says what it was.
"""

import hashlib
import re
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from accounts.principals import Kind

# From most to least.
_ROLES = ("owner", "admin", "member")
_KINDS = {"User": Kind.USER, "Worker": Kind.WORKER, "Service": Kind.SERVICE}
_FIELDS = {"key", "org_id", "principal_type", "principal_id", "role"}
_SHORTEST, _LONGEST = 32, 512
_LONGEST_NAME = 100
# What other authenticators know as theirs: keys of ours, access tokens, JWTs.
_OTHERS = re.compile(r"crayon_.*|[0-9a-f]{64}|[^.]*\.[^.]*\.[^.]*")
_NAMESPACE = uuid.UUID("6b0f5d6e-3a55-5b0e-9d1e-5a2f6a1c7d42")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticKey:
    """Whom a configured key acts for. `id` is the key's own, the same for as long as the key is."""

    id: uuid.UUID
    digest: bytes = field(repr=False)
    organization_id: uuid.UUID
    kind: Kind
    principal_id: uuid.UUID
    name: str
    role: str


def read(path: str) -> dict[bytes, StaticKey]:
    """The keys of a file, by digest; none for "". Raises ImproperlyConfigured for anything that isn't understood."""
    if not path:
        return {}
    try:
        whole = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"STATIC_API_KEYS_FILE names a file that can't be read: {path}") from error
    except tomllib.TOMLDecodeError as error:
        # Not what it says: that may quote the file.
        raise ImproperlyConfigured(f"STATIC_API_KEYS_FILE is not TOML: {path}") from error
    entries = whole.pop("keys", [])
    if whole or not isinstance(entries, list):
        raise ImproperlyConfigured("STATIC_API_KEYS_FILE has tables [[keys]], and nothing else.")
    return parse(entries, source="STATIC_API_KEYS_FILE")


def parse(entries: Sequence[Any], *, source: str) -> dict[bytes, StaticKey]:
    """The keys of these tables, by digest; `source` is what errors call the file. Raises ImproperlyConfigured."""
    keys: dict[bytes, StaticKey] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            key = _parsed(entry)
        except ValueError as error:
            raise ImproperlyConfigured(f"{source}, key {number}: {error}") from None  # the cause may hold the key
        if key.digest in keys:
            raise ImproperlyConfigured(f"{source}, key {number}: This key stands there twice.")
        keys[key.digest] = key
    return keys


def weaker_role(one: str, other: str) -> str:
    """The one of two roles that may less."""
    return max(one, other, key=_ROLES.index)


def _parsed(entry: Any) -> StaticKey:
    if not isinstance(entry, Mapping):
        raise ValueError("It must be a table.")  # noqa: TRY004 - one kind of error for whatever is wrong
    if missing := sorted(_FIELDS - entry.keys()):
        raise ValueError(f"{missing[0]} is missing.")
    if unknown := sorted(entry.keys() - _FIELDS):
        raise ValueError(f"There is no {unknown[0]}.")
    values = {name: _text(name, entry[name]) for name in _FIELDS}
    plain, kind, role = values["key"], _KINDS.get(values["principal_type"]), values["role"].lower()
    if not _SHORTEST <= len(plain) <= _LONGEST or not plain.isascii() or not plain.isprintable() or " " in plain:
        raise ValueError(f"key must have {_SHORTEST} to {_LONGEST} characters, without spaces.")
    if _OTHERS.fullmatch(plain):
        raise ValueError("key looks like another kind of credential: choose one that begins otherwise.")
    if kind is None:
        raise ValueError(f"principal_type must be one of {', '.join(_KINDS)}.")
    if role not in _ROLES:
        raise ValueError("role must be OWNER, ADMIN or MEMBER.")
    if len(values["principal_id"]) > _LONGEST_NAME or not values["principal_id"].isprintable():
        raise ValueError(f"principal_id must have at most {_LONGEST_NAME} characters.")
    digest = hashlib.sha256(plain.encode()).digest()
    organization_id = _uuid("org_id", values["org_id"])
    return StaticKey(
        id=uuid.uuid5(_NAMESPACE, digest.hex()),
        digest=digest,
        organization_id=organization_id,
        kind=kind,
        principal_id=_id_of(kind, values["principal_id"], organization_id),
        name=values["principal_id"],
        role=role,
    )


def _id_of(kind: Kind, text: str, organization_id: uuid.UUID) -> uuid.UUID:
    """A person's id; for a service its id, or one made of its name that is the same every time."""
    if kind == Kind.USER:
        return _uuid("principal_id of a User", text)
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid5(organization_id, f"{kind}:{text}")


def _uuid(name: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError(f"{name} must be a UUID.") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text.")
    return value.strip()
