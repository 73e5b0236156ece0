"""Hearing from Nango that a connection was made, renewed, or can't be refreshed.

Nango signs the body and nothing else: there is no time and no delivery id, so a webhook may come
twice, late or again. Everything here may therefore be repeated, and none of it moves ownership.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import orjson
from django.conf import settings
from django.db import transaction

from accounts.audit import record
from core.errors import ApplicationError, Malformed, Unauthenticated, Unavailable
from core.queues import SHORT, defer
from integrations.models import Connection, ConnectionQuerySet
from integrations.nango_ids import LONGEST_ID, is_addressable, is_integration_id
from integrations.services import credential_cache
from integrations.services.access import Found, adopt, claimants, event_of, is_tagged, rows_of
from integrations.services.reconciliation import RECONCILE
from integrations.sources.nango import OWNER_TAG, Nango

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 60
# Nango sends one three times within some ten seconds.
_ON_ITS_WAY_SECONDS = 30.0
_UNTROUBLED = {"needs_reconnect": False, "missing_since": None}


class WebhookNotConfigured(Unavailable):
    """503: this server can't check signatures."""

    default = "This server takes no webhooks: its operator must set NANGO_WEBHOOK_SIGNING_KEY."


class BadSignature(Unauthenticated):
    """401: the body was not signed with our key."""

    default = "The signature in X-Nango-Hmac-Sha256 does not fit the body."


def receive(*, body: bytes, signature: str, now: datetime) -> Literal["done", "ignored"]:
    """Take one webhook; gives "done" or "ignored". Raises WebhookNotConfigured, BadSignature or Malformed.

    `signature` is the hex HMAC-SHA256 of the raw body (`X-Nango-Hmac-Sha256`). The older
    `X-Nango-Signature` is a plain hash that can be extended, and is not accepted.
    """
    if not settings.NANGO_WEBHOOK_SIGNING_KEY:
        raise WebhookNotConfigured
    expected = hmac.new(settings.NANGO_WEBHOOK_SIGNING_KEY.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise BadSignature
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The body is not valid JSON.") from error
    if not isinstance(event, dict) or event.get("type") != "auth":
        return "ignored"
    return _take(event, now=now)


def _take(event: Mapping[str, object], *, now: datetime) -> Literal["done", "ignored"]:
    integration_id, connection_id = event.get("providerConfigKey"), event.get("connectionId")
    if not (isinstance(integration_id, str) and is_integration_id(integration_id)):
        return "ignored"
    if not (isinstance(connection_id, str) and is_addressable(connection_id)):
        return "ignored"
    credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
    rows = Connection.objects.at(integration_id=integration_id, connection_id=connection_id)
    match event.get("operation"), event.get("success"):
        case "creation", True:
            _adopt(event, integration_id, connection_id, now=now)
            rows.filter(state=Connection.State.ACTIVE).update(**_UNTROUBLED)
        case "override", True:
            if not _adopt(event, integration_id, connection_id, now=now):
                _note_reconnected(rows, owner=_tagged(event)[0])
        case "refresh", False:
            rows.update(needs_reconnect=True)
        case _:
            return "ignored"
    return "done"


def _adopt(event: Mapping[str, object], integration_id: str, connection_id: str, *, now: datetime) -> int:
    """Record the connection as the tagged person's, unless it is recorded already; gives how many were new."""
    tagged = _tagged(event)
    claimant = claimants([tagged]).get(tagged)
    if claimant is None:
        logger.warning("a connection of %s was made for nobody we know", integration_id)
        return 0
    known, asked = rows_of([(integration_id, connection_id)]), time.monotonic()
    if not known and not _is_there(tagged[0], integration_id, connection_id):
        # Webhooks come late and again: one must not bring back what was deleted meanwhile.
        logger.warning("a webhook tells of a connection of %s that is not there", integration_id)
        return 0
    provider = event.get("provider")
    name = provider[:LONGEST_ID] if isinstance(provider, str) and "\0" not in provider else ""
    found = Found(integration_id, connection_id, name, needs_reconnect=False, claimant=claimant)
    if known:
        # Nango was not asked: so where the row that was seen is gone by now nothing takes its place, and the news may
        # be of what was deleted before somebody began to make it anew.
        asked -= _ON_ITS_WAY_SECONDS
    return adopt([found], asked=asked, found_by="webhook", actor=None, now=now, known=known or None)


def _is_there(owner: str, integration_id: str, connection_id: str) -> bool:
    """Whether Nango has the connection as the owner's. Raises the client's errors.

    Nango sends a webhook three times within some ten seconds, so what can't be looked up now is found by comparing all.
    """
    try:
        return is_tagged(Nango.from_settings(), owner=owner, integration_id=integration_id, connection_id=connection_id)
    except ApplicationError as error:
        seconds = getattr(error, "retry_after", None) or _LOOK_AGAIN_SECONDS
        defer(RECONCILE, queue=SHORT, lock=RECONCILE, after=timedelta(seconds=seconds))
        raise


@transaction.atomic
def _note_reconnected(rows: ConnectionQuerySet, *, owner: str) -> None:
    """Take the marks of trouble away, and write down that the owner's connection has new credentials."""
    there = rows.filter(state=Connection.State.ACTIVE)
    there.update(**_UNTROUBLED)
    for row in there:
        if str(row.owner_id) == owner:
            record("connection.reconnected", **event_of(row, found_by="webhook", actor=None))


def _tagged(event: Mapping[str, object]) -> tuple[str, str]:
    """The ids of person and organization in the tags, else in the older `endUser`; "" where there is none."""
    tags, older = event.get("tags"), event.get("endUser")
    for source, person, organization in (
        (tags, OWNER_TAG, "organization_id"),
        (older, "endUserId", "organizationId"),
    ):
        if isinstance(source, dict) and isinstance(owner := source.get(person), str) and owner:
            organization_id = source.get(organization)
            return owner, organization_id if isinstance(organization_id, str) else ""
    return "", ""
