"""The page between a tool's link and Nango's: it is for the person whose tool asked, and for nobody else.

Nango's own link works for whoever opens it, and attaches what they connect to the person it was made for. So it
never leaves this server but to that person's own browser, after they were told who asked and pressed the button.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from accounts.audit import record
from accounts.models import User
from accounts.policies import Resource, decide
from accounts.principals import Principal, Proof
from accounts.services import access
from accounts.services.access_ended import Ended, part
from core.crypto import digest, random_hex
from core.errors import NotFound
from integrations.models import Connection, ConnectLink
from integrations.services import integrations
from integrations.services.decisions import connection
from integrations.sources.nango import ConnectSession

_TOKEN_LENGTH = 64


class NoSuchLink(NotFound):
    """404: unknown, somebody else's, used, over, or its tool is signed out; these are not told apart."""

    default = (
        "A link to connect an account is for the person whose tool asked for it. It works once, and for half an hour. "
        "Ask your tool for a new one, and sign in here as yourself."
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A link that works for who is looking at it, and where its button leads."""

    link: ConnectLink
    tool: str
    target: str

    @property
    def name(self) -> str:
        """What is to be connected, as people call it."""
        return integrations.name_of(self.link.integration_id)


def make(
    *, caller: Principal, integration_id: str, connection_id: str | None, session: ConnectSession, now: datetime
) -> str:
    """Keep Nango's link for the caller, in the caller's transaction; gives the token of ours. Raises AccessEnded."""
    # Nango was asked for the link meanwhile.
    access.hold(caller)
    token = random_hex(_TOKEN_LENGTH)
    row = ConnectLink(
        digest=digest(token),
        owner_id=caller.id,
        organization_id=caller.organization_id,
        asked_with_id=caller.credential_id if caller.proof == Proof.ACCESS_TOKEN else None,
        asked_with_key_id=caller.credential_id if caller.proof == Proof.API_KEY else None,
        integration_id=integration_id,
        connection_id=connection_id or "",
        created_at=now,
        expires_at=session.expires_at,
    )
    row.sealed_link = session.connect_link.encode()
    row.save(force_insert=True)
    return token


def find(*, token: str, user: User, now: datetime) -> Asked:
    """The link of this token, if it works for this person now. Changes nothing. Raises NoSuchLink."""
    row = (
        ConnectLink.objects.filter(
            _works("asked_with", now),
            _works("asked_with_key", now),
            digest=digest(token),
            owner=user,
            used_at=None,
            expires_at__gt=now,
            organization__suspended_at=None,
            organization__memberships__user=user,
        )
        .select_related("asked_with", "asked_with_key")
        .annotate(role=F("organization__memberships__role"), renews=Subquery(_renewed()))
        .first()
    )
    if row is None or not user.is_active or not _may_follow(user, row):
        raise NoSuchLink
    return Asked(link=row, tool=row.tool, target=row.sealed_link.open().decode())


@transaction.atomic
def follow(*, token: str, user: User, now: datetime) -> str:
    """Use the link up; gives Nango's, for this person's browser alone. Raises NoSuchLink."""
    asked = find(token=token, user=user, now=now)
    if not ConnectLink.objects.filter(pk=asked.link.pk, used_at=None).update(used_at=now):
        raise NoSuchLink
    record(
        "connect_link.followed",
        actor=user,
        organization_id=asked.link.organization_id,
        target_type="Integration",
        target_id=asked.link.integration_id,
        details={
            "connection_id": asked.link.connection_id,
            "asked_with": str(asked.link.asked_with_id or asked.link.asked_with_key_id),
        },
    )
    return asked.target


def forget_old(*, now: datetime) -> int:
    """Delete the links whose time is over; gives how many."""
    return ConnectLink.objects.filter(expires_at__lt=now).delete()[0]


@part("links to connect an account")
def _end(ended: Ended) -> int:
    """Pages of ours that would lead the person on to Nango; what Nango gave out lives for half an hour."""
    return ConnectLink.objects.filter(owner=ended.user.pk).delete()[0]


def _may_follow(user: User, row: ConnectLink) -> bool:
    """Whether the policies let the person make what the link is for, or renew what it renews."""
    found = cast("Any", row)
    if found.renews is not None:
        return decide(
            user,
            "connections.update",
            connection(found.renews, organization_id=row.organization_id, owner_id=row.owner_id),
        ).allowed
    return decide(user, "connections.create", Resource(type="Org", id=row.organization_id, role=found.role)).allowed


def _renewed() -> QuerySet[Connection, uuid.UUID]:
    """The id of the connection that a link renews, for as long as it is its owner's in the link's organization."""
    same = ("integration_id", "connection_id", "owner_id", "organization_id")
    return Connection.objects.filter(**{name: OuterRef(name) for name in same}).values_list("pk", flat=True)


def _works(tool: str, now: datetime) -> Q:
    """That the tool's token or key is good, if there is one."""
    return Q(**{tool: None}) | Q(**{f"{tool}__revoked_at": None, f"{tool}__expires_at__gt": now})
