"""Who holds an API key, be it in the database or in STATIC_API_KEYS_FILE: found with one query."""

import logging
import uuid
from datetime import datetime
from typing import Any

from django.conf import settings

from accounts import key_format, networks
from accounts.bearer import USE_IS_NOTED_EVERY, Suspended, Waiting
from accounts.models import APIKey
from accounts.principals import Kind, Principal, Proof
from accounts.static_keys import StaticKey, weaker_role
from core.crypto import digest
from core.database import fetch_row
from core.errors import Forbidden, Unauthenticated
from core.request_context import current_address

logger = logging.getLogger(__name__)

_PERSON = """
       u.id, u.is_active, u.waitlisted_at, u.name, u.github_login, u.username, u.email, u.cache_epoch, u.access_epoch,
       o.id, o.slug, o.suspended_at, m.role"""
# By hand, as `accounts.bearer` does, and for the same reason.
_FIND = f"""
SELECT k.id, k.kind, k.name, k.expires_at, k.revoked_at, k.last_used_at, k.scopes, k.networks, {_PERSON}
  FROM accounts_apikey k
  JOIN accounts_organization o ON o.id = k.organization_id
  LEFT JOIN accounts_user u ON u.id = k.user_id
  LEFT JOIN accounts_membership m ON m.organization_id = o.id AND m.user_id = u.id
 WHERE k.digest = %s
"""  # noqa: S608 - joined from constants
_FIND_FOR_STATIC = f"""
SELECT {_PERSON}
  FROM accounts_organization o
  LEFT JOIN accounts_user u ON u.id = %s
  LEFT JOIN accounts_membership m ON m.organization_id = o.id AND m.user_id = u.id
 WHERE o.id = %s
"""  # noqa: S608 - the same
_WORKER = str(APIKey.Kind.WORKER)


class InvalidKey(Unauthenticated):
    """401: the key is unknown, mistyped, expired or revoked; these are not told apart."""

    default = "This API key is not valid: it is mistyped, has expired or was revoked. Make a new one on this server."


class KeyNotFromHere(Forbidden):
    """403: the key is used from outside of the networks that it was given."""

    default = "This API key may not be used from this network. Its networks are listed where it was made."


class KeyOfFormerMember(Forbidden):
    """403: the key's person left the organization that it is for."""

    default = "This API key's person is no longer a member of its organization. Make one for another organization."


def api_key(credential: str, *, now: datetime) -> Principal | None:
    """Whoever holds this personal key; None for what isn't one. Raises as `_principal_of` does."""
    return _principal_of(credential, key_format.PERSONAL, now) if credential.startswith(key_format.PERSONAL) else None


def worker_key(credential: str, *, now: datetime) -> Principal | None:
    """The worker that holds this key; None for what isn't one. Raises as `_principal_of` does."""
    return _principal_of(credential, key_format.WORKER, now) if credential.startswith(key_format.WORKER) else None


def static_key(credential: str, *, now: datetime) -> Principal | None:  # noqa: ARG001 - a static key doesn't expire
    """Whoever this configured key was given to; None for any other. Raises InvalidKey, Suspended or Waiting."""
    configured: dict[bytes, StaticKey] = settings.STATIC_API_KEYS
    key = configured.get(digest(credential)) if configured else None
    if key is None:
        return None
    is_person = key.kind == Kind.USER
    row = fetch_row(_FIND_FOR_STATIC, [key.principal_id if is_person else None, key.organization_id])
    if row is None:
        raise InvalidKey
    person, (organization_id, slug, suspended_at, role) = row[:9], row[9:]
    if suspended_at is not None:
        raise Suspended
    parts = _person_of(person, role) if is_person else {"id": key.principal_id, "name": key.name}
    return Principal(
        kind=key.kind,
        proof=Proof.STATIC_KEY,
        credential_id=key.id,
        credential_name=key.name,
        organization_id=organization_id,
        organization_slug=slug,
        role=weaker_role(role, key.role) if is_person else key.role,
        **parts,
    )


def _principal_of(key: str, prefix: str, now: datetime) -> Principal | None:
    """The key's person or worker, in its organization; notes the use, at most once a minute.

    None for one that nobody was given here, where the application that CONFIG_FILE trusts is asked about keys: it may
    be another server with the same prefixes.

    Raises InvalidKey (401), without a query where it can't be a key, or Suspended, Waiting, KeyOfFormerMember or
    KeyNotFromHere (403).
    """
    if not key_format.is_whole(key, prefix):
        raise InvalidKey
    row = fetch_row(_FIND, [digest(key)])
    if row is None:
        if settings.KEY_VALIDATION is not None:
            return None
        raise InvalidKey
    key_id, kind, name, expires_at, revoked_at, last_used_at, scopes, allowed_networks = row[:8]
    person, (organization_id, slug, suspended_at, role) = row[8:17], row[17:]
    if revoked_at is not None or (expires_at is not None and expires_at <= now):
        raise InvalidKey
    is_worker = kind == _WORKER
    parts = {"id": key_id, "name": name} if is_worker else _person_of(person, role)
    if suspended_at is not None:
        raise Suspended
    address = current_address()
    if allowed_networks and not networks.allows(allowed_networks, address):
        logger.warning("the API key %s was refused: it came from outside of its networks", key_id)
        raise KeyNotFromHere
    if last_used_at is None or now - last_used_at >= USE_IS_NOTED_EVERY:
        note_use(key_id, address, now)
    return Principal(
        kind=Kind.WORKER if is_worker else Kind.USER,
        proof=Proof.WORKER_KEY if is_worker else Proof.API_KEY,
        credential_id=key_id,
        credential_name=name,
        credential_expires_at=expires_at,
        organization_id=organization_id,
        organization_slug=slug,
        role="worker" if is_worker else role,
        scopes=None if scopes is None else frozenset(scopes),
        **parts,
    )


def _person_of(columns: tuple[Any, ...], role: str | None) -> dict[str, Any]:
    """The parts of a principal that say who the person is. Raises Waiting, Suspended or KeyOfFormerMember."""
    user_id, is_active, waitlisted_at, name, github_login, username, email, cache_epoch, access_epoch = columns
    if user_id is None:
        raise InvalidKey
    if not is_active:
        raise Waiting if waitlisted_at else Suspended
    if role is None:
        raise KeyOfFormerMember
    return {
        "id": user_id,
        "name": name,
        "login": github_login or username,
        "email": email,
        "cache_epoch": cache_epoch,
        "access_epoch": access_epoch,
    }


def note_use(key_id: uuid.UUID, address: str, now: datetime) -> None:
    """Write down when and from where a key was used: conditional, so that of many requests at once one writes."""
    unused = APIKey.objects.filter(pk=key_id, revoked_at=None).exclude(last_used_at__gt=now - USE_IS_NOTED_EVERY)
    unused.update(last_used_at=now, last_used_address=address or None)
