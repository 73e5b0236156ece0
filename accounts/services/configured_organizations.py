"""Organizations that CONFIG_FILE has (`[[orgs]]`): made, and kept as the file says; others are left alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import IssuerOrganization, Organization, RetiredSlug
from core.errors import Conflict


class Configured(Protocol):
    """An organization as the file has it."""

    @property
    def id(self) -> UUID:
        """Its id, for good."""

    @property
    def slug(self) -> str:
        """Its slug, for good."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def tier(self) -> str:
        """Its plan."""

    @property
    def region(self) -> str:
        """Where it is."""


class CannotBeConfigured(Conflict):
    """409: the file and the database can't both be right about an organization."""


@dataclass(frozen=True, slots=True)
class Synchronized:
    """How many organizations were made and changed, and how many were as the file says."""

    made: int
    changed: int
    unchanged: int


def synchronize(*, organizations: Sequence[Configured], issuer: str, now: datetime) -> Synchronized:
    """Make the organizations that are missing, and give the others the file's name, tier and region.

    Tokens of `issuer` may act in them; "" is no issuer. All or nothing: raises CannotBeConfigured for a known id with
    another slug, for a slug that is another organization's here, and for somebody's personal organization.
    """
    try:
        return _synchronize_all(organizations, issuer=issuer, now=now)
    except IntegrityError:
        # Another process has just made one of them: now it is there.
        return _synchronize_all(organizations, issuer=issuer, now=now)


@transaction.atomic
def _synchronize_all(organizations: Sequence[Configured], *, issuer: str, now: datetime) -> Synchronized:
    told = [_synchronize(wanted, issuer=issuer, now=now) for wanted in organizations]
    return Synchronized(*(told.count(what) for what in ("made", "changed", "unchanged")))


@transaction.atomic
def bind_anew(*, slug: str, issuer: str, now: datetime) -> Organization:
    """Let the issuer's tokens act in an organization that is here, whose id at the issuer is learned anew.

    Raises CannotBeConfigured where there is no issuer, no such organization, or it is somebody's personal one.
    """
    if not issuer:
        raise CannotBeConfigured("CONFIG_FILE trusts no issuer: it lacks [auth.better_auth_jwt].")
    row = Organization.objects.filter(slug=slug).first()
    if row is None:
        raise CannotBeConfigured(f"There is no organization with the slug {slug}.")
    if row.personal_for_id:
        raise CannotBeConfigured(f"{slug} is somebody's personal organization, which is nobody else's.")
    IssuerOrganization.objects.filter(organization=row).delete()
    bind(organization=row, issuer=issuer, now=now)
    return row


def differing(*, organizations: Sequence[Configured], issuer: str) -> list[str]:
    """The slugs of those that `synchronize` would make, change or refuse, in the file's order."""
    known = {row.pk: row for row in _rows().filter(pk__in=[wanted.id for wanted in organizations])}
    return [
        wanted.slug
        for wanted in organizations
        if (row := known.get(wanted.id)) is None or _changes(row, wanted) or not _is_bound(row, issuer)
    ]


def _rows() -> QuerySet[Organization]:
    return Organization.objects.select_related("issuer_organization")


def _synchronize(wanted: Configured, *, issuer: str, now: datetime) -> str:
    row = Organization.objects.select_for_update().filter(pk=wanted.id).first()
    if row is None:
        return _make(wanted, issuer=issuer, now=now)
    if row.personal_for_id:
        raise CannotBeConfigured(
            f"The id {wanted.id} is that of somebody's personal organization here. Give {wanted.slug} another id."
        )
    if row.slug != wanted.slug:
        raise CannotBeConfigured(
            f"The organization {wanted.id} has the slug {row.slug} here, and {wanted.slug} in CONFIG_FILE. A slug "
            f"can't be changed: write {row.slug}, or give {wanted.slug} an id of its own."
        )
    changes = _changes(row, wanted)
    if changes:
        Organization.objects.filter(pk=row.pk).update(**changes)
        audit.record("organization.configured", actor=None, target=row, organization_id=row.pk, details=changes)
    bound = bind(organization=row, issuer=issuer, now=now)
    return "changed" if changes or bound else "unchanged"


def _make(wanted: Configured, *, issuer: str, now: datetime) -> str:
    other = Organization.objects.filter(slug=wanted.slug).first()
    if other is not None:
        raise CannotBeConfigured(
            f"The slug {wanted.slug} is that of the organization {other.pk} here, and not of {wanted.id}. "
            + (
                "It is somebody's personal one, so the file needs another slug."
                if other.personal_for_id
                else "Write that id to have it configured by the file, or choose another slug."
            )
        )
    before = RetiredSlug.objects.filter(slug=wanted.slug).exclude(organization_id=wanted.id).first()
    if before is not None:
        raise CannotBeConfigured(
            f"The slug {wanted.slug} was that of the organization {before.organization_id}, which was deleted. Write "
            f"that id, choose another slug, or run `python manage.py free_slug {wanted.slug}`."
        )
    row = Organization.objects.create(
        id=wanted.id, slug=wanted.slug, name=wanted.name, tier=wanted.tier, region=wanted.region
    )
    audit.record("organization.configured", actor=None, target=row, organization_id=row.pk, details={"made": True})
    bind(organization=row, issuer=issuer, now=now)
    return "made"


def _changes(row: Organization, wanted: Configured) -> dict[str, str]:
    fields = {"name": wanted.name, "tier": wanted.tier, "region": wanted.region}
    return {field: value for field, value in fields.items() if getattr(row, field) != value}


def _is_bound(row: Organization, issuer: str) -> bool:
    bound: IssuerOrganization | None = getattr(row, "issuer_organization", None)
    return not issuer or (bound is not None and bound.issuer == issuer)


def bind(*, organization: Organization, issuer: str, now: datetime, foreign_id: str = "") -> bool:
    """Let `issuer`'s tokens act in the organization, and no other issuer's; False when they do already.

    With another issuer than before, its id of the organization is learned anew. Call it in the transaction that says so
    in the audit trail.
    """
    if not issuer or IssuerOrganization.objects.filter(organization=organization, issuer=issuer).exists():
        return False
    IssuerOrganization.objects.update_or_create(
        organization=organization, defaults={"issuer": issuer, "foreign_id": foreign_id, "created_at": now}
    )
    audit.record(
        "organization.bound_to_issuer",
        actor=None,
        target=organization,
        organization_id=organization.pk,
        details={"issuer": issuer},
    )
    return True
