"""API keys: make, list, rotate, revoke. A key is shown when it is made and never again: only its digest is kept."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts import audit, key_format
from accounts.models import APIKey, Membership, Organization
from accounts.models.api_keys import APIKeyQuerySet
from accounts.services import access, key_mail, organizations
from accounts.services.access_ended import Ended, Why, part
from accounts.services.organizations import NoSuchOrganization
from core.crypto import digest
from core.errors import Conflict, NotFound
from core.rate_limits import RateLimit

DEFAULT_DAYS = 90
MOST_DAYS = 365
LONGEST_OVERLAP = timedelta(hours=24)
PER_PERSON = 50
WORKERS_PER_ORGANIZATION = 100
MADE = RateLimit("api-keys-made", "30/hour")
_DECIDING = (Membership.Role.OWNER, Membership.Role.ADMIN)


class NoSuchKey(NotFound):
    """404: there is no such key, or it isn't the asker's to decide about."""

    default = "This API key is not there any more."


class TooManyKeys(Conflict):
    """409: as many keys work as may."""


class KeyIsOver(Conflict):
    """409: a key that was revoked or has expired can't be rotated."""

    default = "This API key was revoked or has expired, so it can't be rotated. Make a new one."


class AlreadyRotated(Conflict):
    """409: another key has replaced this one before."""

    default = "This API key was rotated before. Rotate the key that replaced it."


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedKey:
    """What a key is to be: `scopes` None is all that its person may, `days` None for ever (workers only)."""

    name: str
    days: int | None = DEFAULT_DAYS
    scopes: frozenset[str] | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key's row, and the key itself, which nothing keeps."""

    row: APIKey
    plain: str

    def __repr__(self) -> str:
        return f"<MadeKey {self.row.pk}>"


def make(*, by: access.Doer, organization_id: uuid.UUID, wanted: WantedKey, now: datetime) -> MadeKey:
    """A personal key, to act as `by` in one of their organizations.

    Raises AccessEnded, NoSuchOrganization, TooManyKeys, or TooManyRequests after 30 within an hour.
    """
    MADE.spend(str(by.id))
    return _told(issue(by=by, organization_id=organization_id, wanted=wanted, now=now), by)


@transaction.atomic
def issue(*, by: access.Doer, organization_id: uuid.UUID, wanted: WantedKey, now: datetime) -> MadeKey:
    """The same, for who has counted it already. Raises AccessEnded, NoSuchOrganization or TooManyKeys."""
    _hold_memberships(organization_id)
    access.hold(by)
    _require_member(by.id, organization_id)
    if number_of(user_id=by.id, now=now) >= PER_PERSON:
        raise TooManyKeys(f"You have {PER_PERSON} API keys that work. Revoke one that you don't use any more.")
    made = _made(
        APIKey(kind=APIKey.Kind.PERSONAL, user_id=by.id, organization_id=organization_id, made_by_id=by.id),
        wanted, now,
    )  # fmt: skip
    audit.record("api_key.made", actor=by, target=made.row, organization_id=organization_id)
    return made


def make_for_worker(*, by: access.Doer, slug: str, wanted: WantedKey, now: datetime) -> MadeKey:
    """A key for a worker of an organization that `by` manages. It may do nothing at this server's own routes.

    Raises AccessEnded, NoSuchOrganization, AdminsOnly, OrganizationSuspended, TooManyKeys or TooManyRequests.
    """
    MADE.spend(str(by.id))
    return _told(_issue_for_worker(by, slug, wanted, now), by)


@transaction.atomic
def _issue_for_worker(by: access.Doer, slug: str, wanted: WantedKey, now: datetime) -> MadeKey:
    if "\0" in slug:
        raise NoSuchOrganization
    # Held, so that of two admins at once neither goes past the number.
    organization = organizations.hold(slug=slug, person=by, least=Membership.Role.ADMIN).organization
    if organization.api_keys.of_workers().working(now=now).count() >= WORKERS_PER_ORGANIZATION:
        raise TooManyKeys(f"This organization has {WORKERS_PER_ORGANIZATION} worker keys that work. Revoke one first.")
    made = _made(
        APIKey(kind=APIKey.Kind.WORKER, organization=organization, made_by_id=by.id, scopes=[]), wanted, now
    )  # fmt: skip
    audit.record("worker_key.made", actor=by, target=made.row, organization_id=organization.pk)
    return made


def of_person(*, user_id: uuid.UUID) -> list[APIKey]:
    """The person's own keys that nobody has revoked, newest first; expired ones until they are pruned."""
    return list(APIKey.objects.of(user_id).filter(revoked_at=None).select_related("organization", "replaced_by"))


def number_of(*, user_id: uuid.UUID, now: datetime) -> int:
    """How many keys of the person's work."""
    return APIKey.objects.of(user_id).working(now=now).count()


def places_of(*, user_id: uuid.UUID) -> list[Membership]:
    """Where the person may make a key, with the organizations: their own first."""
    found = Membership.objects.filter(user_id=user_id, organization__suspended_at=None).select_related("organization")
    return sorted(
        found.order_by("organization__slug", "pk"), key=lambda one: one.organization.personal_for_id != user_id
    )


def managed(places: Iterable[Membership]) -> list[Organization]:
    """Those of the organizations whose workers' keys the person decides about."""
    return [place.organization for place in places if place.role in _DECIDING]


def of_workers(*, of: Iterable[Organization]) -> list[APIKey]:
    """The keys of these organizations' workers that nobody has revoked, newest first."""
    keys = APIKey.objects.of_workers().filter(organization__in=list(of), revoked_at=None)
    return list(keys.select_related("organization", "made_by", "replaced_by"))


@transaction.atomic
def revoke(*, key_id: uuid.UUID, by: audit.Actor, now: datetime) -> APIKey:
    """Revoke one of the person's keys, or one of a worker of an organization that they manage.

    It stops working with its next request; revoking twice is fine. Raises NoSuchKey.
    """
    key = _decided_by(by.id).filter(pk=key_id).first()
    if key is None:
        raise NoSuchKey
    end(key=key, by=by, now=now)
    return key


def end(*, key: APIKey, by: audit.Actor | None, now: datetime) -> bool:
    """Revoke this key, in the caller's transaction; False when it was before."""
    if not APIKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        return False
    audit.record(f"{_subject(key)}.revoked", actor=by, target=key, organization_id=key.organization_id)
    return True


def rotate(*, key_id: uuid.UUID, by: access.Doer, overlap: timedelta, now: datetime) -> MadeKey:
    """A new key that may what the old one may; the old one goes on for `overlap`, a day at most, and then ends.

    Raises AccessEnded, NoSuchKey, NoSuchOrganization, KeyIsOver or AlreadyRotated, or TooManyRequests.
    """
    MADE.spend(str(by.id))
    return _told(_rotate(key_id, by, overlap, now), by)


@transaction.atomic
def _rotate(key_id: uuid.UUID, by: access.Doer, overlap: timedelta, now: datetime) -> MadeKey:
    same = _decided_by(by.id).filter(pk=key_id)
    organization_id = same.values_list("organization_id", flat=True).first()
    if organization_id is None:
        raise NoSuchKey
    _hold_memberships(organization_id)
    access.hold(by)
    # Asked again behind the lock. Of two at once the second one finds it replaced.
    key = same.select_for_update(of=("self",), no_key=True).first()
    if key is None:
        raise NoSuchKey
    _require_member(by.id, key.organization_id)
    if key.state(now=now) != "working":
        raise KeyIsOver
    if APIKey.objects.filter(replaces=key).exists():
        raise AlreadyRotated
    until = now + min(max(overlap, timedelta(0)), LONGEST_OVERLAP)
    ends_at = until if key.expires_at is None else min(until, key.expires_at)
    APIKey.objects.filter(pk=key.pk).update(expires_at=ends_at)
    fresh = APIKey(
        kind=key.kind, user_id=key.user_id, organization_id=key.organization_id, made_by_id=by.id, replaces=key
    )
    wanted = WantedKey(
        name=key.name,
        days=None if key.expires_at is None else max(1, round((key.expires_at - key.created_at) / timedelta(days=1))),
        scopes=None if key.scopes is None else frozenset(key.scopes),
        networks=tuple(key.networks),
    )
    made = _made(fresh, wanted, now)
    audit.record(
        f"{_subject(key)}.rotated", actor=by, target=made.row, organization_id=key.organization_id,
        details={"replaces": str(key.pk), "the old one ends": ends_at.isoformat()},
    )  # fmt: skip
    return made


def _told(made: MadeKey, by: access.Doer) -> MadeKey:
    """The key, once its maker was told of it."""
    key_mail.tell(key=made.row, by=by)
    return made


def _decided_by(user_id: uuid.UUID) -> APIKeyQuerySet:
    managed = Membership.objects.filter(user_id=user_id, role__in=_DECIDING).values("organization_id")
    of_workers = Q(kind=APIKey.Kind.WORKER, organization__in=managed)
    return APIKey.objects.filter(Q(user_id=user_id) | of_workers)


def _hold_memberships(organization_id: uuid.UUID) -> None:
    """Keep who is what in the organization as it is until the transaction ends; to be locked before people.

    Whoever is removed in the same moment would have a key that nothing revokes any more.
    """
    list(Organization.objects.filter(pk=organization_id).select_for_update(no_key=True).values_list("pk", flat=True))


def _require_member(user_id: uuid.UUID, organization_id: uuid.UUID) -> str:
    """The person's role in an organization that isn't suspended. Raises NoSuchOrganization."""
    found = Membership.objects.filter(
        organization_id=organization_id, user_id=user_id, organization__suspended_at=None
    ).first()
    if found is None:
        raise NoSuchOrganization
    return found.role


def _made(row: APIKey, wanted: WantedKey, now: datetime) -> MadeKey:
    plain = key_format.new(key_format.WORKER if row.kind == APIKey.Kind.WORKER else key_format.PERSONAL)
    row.digest, row.start = digest(plain), plain[: key_format.SHOWN]
    row.name, row.networks = wanted.name, list(wanted.networks)
    if wanted.scopes is not None:
        row.scopes = sorted(wanted.scopes)
    row.created_at = now
    row.expires_at = None if wanted.days is None else now + timedelta(days=wanted.days)
    row.save(force_insert=True)
    return MadeKey(row, plain)


def _subject(key: APIKey) -> str:
    return "worker_key" if key.kind == APIKey.Kind.WORKER else "api_key"


@part("API keys")
def _end(ended: Ended) -> int:
    """Revoke the person's own, but not those of a suspended person: they are refused while it lasts, as tokens are.

    Whoever signs out everywhere has lost something on which a key may lie. Keys of workers are their organization's.
    """
    if ended.why == Why.SUSPENDED:
        return 0
    return APIKey.objects.of(ended.user.pk).filter(revoked_at=None).update(revoked_at=ended.now)
