"""Who owns a connection: our row says so, and its tags at Nango must agree."""

import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.audit import Actor, Parts, record, record_each
from accounts.models import Membership
from accounts.principals import Principal
from core.rate_limits import FairShare, RateLimit
from integrations.models import Connection, ConnectionStatus
from integrations.nango_ids import cut_for_nango, is_email_for_nango
from integrations.services import tombstones
from integrations.services.decisions import may_own
from integrations.sources.nango import OWNER_TAG, Nango, UnknownConnection
from integrations.sources.nango import Connection as Listed

logger = logging.getLogger(__name__)

FoundBy: TypeAlias = Literal["webhook", "list", "look-up", "reconciliation"]
_LONGEST_TAG = 255
# Each look-up of a connection that we have no row of costs one of the few calls that all share.
_SHARES = FairShare("nango-share")
# The rest is for upkeep, and for who comes when the others have used theirs up.
_FOR_PEOPLE = 0.9
LOOK_UPS = RateLimit("connection-look-ups", "30/minute")


@dataclass(frozen=True, slots=True)
class Claimant:
    """The person and organization in a connection's tags."""

    owner_id: uuid.UUID
    organization_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Found:
    """A connection seen at Nango, and whose it is by its tags."""

    integration_id: str
    connection_id: str
    provider: str
    needs_reconnect: bool
    claimant: Claimant


def spend_call(caller: Principal) -> None:
    """Count that Nango is asked for this person: all share its limit, so nobody may use it up. May raise."""
    if settings.NANGO_CALLS_PER_PERSON:
        RateLimit("nango-calls", f"{settings.NANGO_CALLS_PER_PERSON}/minute").spend(str(caller.id))
    if limit := Nango.from_settings().calls_a_minute:
        _SHARES.spend(str(caller.id), among_all=int(limit * _FOR_PEOPLE))


def tags_of(caller: Principal) -> dict[str, str]:
    """All tags of the caller's connections. Nango replaces the whole set, so they always go together."""
    tags = {
        OWNER_TAG: str(caller.id),
        "organization_id": str(caller.organization_id),
        "end_user_display_name": cut_for_nango(caller.display_name.strip(), most=_LONGEST_TAG),
        "end_user_email": caller.email if is_email_for_nango(caller.email) else "",
    }
    return {name: value for name, value in tags.items() if value}


def require_own(
    *, caller: Principal, integration_id: str, connection_id: str, action: str, now: datetime
) -> ConnectionStatus:
    """The caller's own active connection that they may do this to, adopted when Nango knows it and we didn't yet.

    Raises UnknownConnection, alike for what is another's or another organization's, what the policies don't allow, and
    what is not there, and the client's errors.
    """
    found = Connection.objects.status_of(person=caller, integration_id=integration_id, connection_id=connection_id)
    if found and (found.state == Connection.State.DELETING or not may_own(caller, action, found)):
        raise UnknownConnection
    if found and found.state == Connection.State.ACTIVE:
        return found
    found = _adopted(caller=caller, integration_id=integration_id, connection_id=connection_id, now=now)
    if not may_own(caller, action, found):
        raise UnknownConnection
    return found


def _adopted(*, caller: Principal, integration_id: str, connection_id: str, now: datetime) -> ConnectionStatus:
    """Ask Nango for the caller's connection of these ids; what is another's is never asked for."""
    LOOK_UPS.spend(str(caller.id))
    asked = time.monotonic()
    listed = Nango.from_settings().list_connections(
        owner=str(caller.id), integration_id=integration_id, connection_id=connection_id
    )
    wanted = (str(caller.id), integration_id, connection_id)
    adopt(
        found_for(
            caller,
            [item for item in listed if (item.owner, item.integration_id, item.connection_id) == wanted],
        ),
        asked=asked,
        found_by="look-up",
        actor=caller,
        now=now,
    )
    found = Connection.objects.status_of(person=caller, integration_id=integration_id, connection_id=connection_id)
    if found is None or found.state != Connection.State.ACTIVE:
        raise UnknownConnection
    return found


def found_for(caller: Principal, listed: Sequence[Listed]) -> list[Found]:
    """What Nango lists as the caller's, each in the organization that its tags name, else in the caller's.

    Who is not in the organization that is named has it in their personal one.
    """
    ours = {"", str(caller.organization_id)}
    elsewhere = [(item.owner, item.organization) for item in listed if item.organization not in ours]
    known = claimants(elsewhere) if elsewhere else {}
    own = Claimant(caller.id, caller.organization_id)
    return [
        Found(
            item.integration_id,
            item.connection_id,
            item.provider,
            item.needs_reconnect,
            known.get((item.owner, item.organization), own),
        )
        for item in listed
    ]


def require_tagged_at_nango(nango: Nango, *, caller: Principal, integration_id: str, connection_id: str) -> None:
    """Raise UnknownConnection unless Nango has the connection with the caller's tag; reads no credentials."""
    if not is_tagged(nango, owner=str(caller.id), integration_id=integration_id, connection_id=connection_id):
        raise UnknownConnection


def is_tagged(nango: Nango, *, owner: str, integration_id: str, connection_id: str) -> bool:
    """Whether Nango has this connection with this owner's tag."""
    listed = nango.list_connections(owner=owner, integration_id=integration_id, connection_id=connection_id)
    wanted = (owner, integration_id, connection_id)
    return any((item.owner, item.integration_id, item.connection_id) == wanted for item in listed)


def adopt(  # noqa: PLR0913 - what was found, when it was asked for, and by whom
    found: Iterable[Found],
    *,
    asked: float,
    found_by: FoundBy,
    actor: Actor | None,
    now: datetime,
    known: Mapping[tuple[str, str], Connection] | None = None,
) -> int:
    """Record connections as their claimants' where nobody's are recorded; gives how many were new.

    `asked` is the `time.monotonic()` before Nango was asked for them: what was deleted since stays so. `known` is what
    was recorded at their addresses when the caller looked, if nothing is to take its place. A claim of the same person
    becomes active. What is recorded for somebody else stays theirs. The audit trail says what found them, and the
    `actor` whose request did, if one did.
    """
    items = list(found)
    if not items:
        return 0
    if known is None:
        known = rows_of([(item.integration_id, item.connection_id) for item in items])
    new = [item for item in items if (item.integration_id, item.connection_id) not in known]
    count = _insert([_row(item, now) for item in new], asked=asked, found_by=found_by, actor=actor) if new else 0
    claims = [row for row in known.values() if row.state == Connection.State.CLAIMING]
    overtaken = tombstones.among(claims, since_asked=asked) if claims else set()
    for item in items:
        row = known.get((item.integration_id, item.connection_id))
        if row is None:
            continue
        if row.owner_id != item.claimant.owner_id:
            logger.warning("connection %s bears the tags of somebody other than its owner", row.pk)
        elif row.state == Connection.State.CLAIMING and row not in overtaken:
            confirm(row, provider=item.provider, found_by=found_by, actor=actor, now=now)
    return count


@transaction.atomic
def _insert(rows: list[Connection], *, asked: float, found_by: FoundBy, actor: Actor | None) -> int:
    """Insert what nobody has recorded or deleted meanwhile: the first one's row holds. Gives how many that were."""
    Connection.objects.bulk_create(rows, ignore_conflicts=True)
    # PostgreSQL says how many rows it passed over, not which; ours bear ids that nobody else's have. Inserting waits
    # for a deletion of the same address that is under way, so only afterwards its tombstone is certain to be seen.
    ours = Connection.objects.filter(pk__in=[row.pk for row in rows])
    told = dict(ours.annotate(is_overtaken=tombstones.since(asked)).values_list("pk", "is_overtaken"))
    if overtaken := [pk for pk, is_overtaken in told.items() if is_overtaken]:
        ours.filter(pk__in=overtaken).delete()
        logger.info("%s connections were deleted while an answer of Nango's that has them was read", len(overtaken))
    kept = [row for row in rows if told.get(row.pk) is False]
    record_each("connection.created", [event_of(row, found_by=found_by, actor=actor) for row in kept])
    return len(kept)


@transaction.atomic
def confirm(row: Connection, *, provider: str, found_by: FoundBy, actor: Actor | None, now: datetime) -> bool:
    """Turn a claim into a connection that is there; False when the claim is gone."""
    claims = Connection.objects.filter(pk=row.pk, state=Connection.State.CLAIMING)
    changes = {"state": Connection.State.ACTIVE, "confirmed_at": now, "missing_since": None}
    if not claims.update(provider=provider, **changes):
        return False
    record("connection.confirmed", **event_of(row, found_by=found_by, actor=actor))
    return True


def event_of(row: Connection, *, found_by: FoundBy, actor: Actor | None) -> Parts:
    """What the audit trail says of a connection whose news came from Nango."""
    return {
        "actor": actor,
        "target": row,
        "details": {
            "integration_id": row.integration_id,
            "connection_id": row.connection_id,
            "owner_id": str(row.owner_id),
            "found_by": found_by,
        },
    }


def rows_of(addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Connection]:
    """The rows at these addresses (integration and connection id), whosever they are."""
    wanted = set(addresses)
    rows = Connection.objects.filter(
        integration_id__in={integration_id for integration_id, _ in wanted},
        connection_id__in={connection_id for _, connection_id in wanted},
    )
    found = {(row.integration_id, row.connection_id): row for row in rows}
    return {address: row for address, row in found.items() if address in wanted}


def claimants(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Claimant]:
    """Find who is in these tags (person's id and organization's id), as far as they are known and let in here.

    The organization is the tagged one when the person belongs to it, else their personal one. A link
    outlives its person's suspension; what is made with it then belongs to nobody.
    """
    wanted = {pair: person for pair in pairs if (person := _uuid(pair[0])) is not None}
    memberships = Membership.objects.filter(user_id__in=set(wanted.values()), user__is_active=True).filter(
        Q(organization__personal_for_id__isnull=False) | Q(organization_id__in=_uuids(pair[1] for pair in wanted))
    )
    personal: dict[uuid.UUID, uuid.UUID] = {}
    joined: set[tuple[uuid.UUID, uuid.UUID]] = set()
    for user_id, organization_id, personal_for in memberships.values_list(
        "user_id", "organization_id", "organization__personal_for_id"
    ):
        joined.add((user_id, organization_id))
        if personal_for == user_id:
            personal[user_id] = organization_id
    found: dict[tuple[str, str], Claimant] = {}
    for pair, person in wanted.items():
        tagged = _uuid(pair[1])
        organization = tagged if tagged and (person, tagged) in joined else personal.get(person)
        if organization:
            found[pair] = Claimant(person, organization)
    return found


def _row(item: Found, now: datetime) -> Connection:
    return Connection(
        integration_id=item.integration_id,
        connection_id=item.connection_id,
        provider=item.provider,
        owner_id=item.claimant.owner_id,
        organization_id=item.claimant.organization_id,
        needs_reconnect=item.needs_reconnect,
        created_at=now,
        confirmed_at=now,
    )


def _uuid(text: str) -> uuid.UUID | None:
    """The id in its canonical spelling only: another spelling is another tag to Nango."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _uuids(texts: Iterable[str]) -> set[uuid.UUID]:
    return {found for text in texts if (found := _uuid(text))}
