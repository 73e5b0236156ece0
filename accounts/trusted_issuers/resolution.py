"""From what an issuer says to somebody here: one query for person and organization, and what is made at first sight."""

import logging
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from accounts.bearer import Suspended, Waiting
from accounts.models.issuers import LONGEST_SUBJECT
from accounts.principals import Kind, Principal, Proof
from accounts.services import issuers
from accounts.trusted_issuers.errors import InvalidForeignToken, UnknownOrganization
from core.database import fetch_row

logger = logging.getLogger(__name__)

# One row, whether or not the two are here. An organization counts as the issuer's, and nobody's personal one does.
_FIND = """
SELECT o.id, o.suspended_at, b.foreign_id,
       u.id, u.is_active, u.waitlisted_at, u.username, u.cache_epoch, u.access_epoch,
       p.name, p.email, p.seen_at, p.valid_from
  FROM (SELECT 1) AS one
  LEFT JOIN (accounts_organization o JOIN accounts_issuerorganization b ON b.organization_id = o.id)
    ON o.slug = %s AND b.issuer = %s AND o.personal_for_id IS NULL
  LEFT JOIN (accounts_issuerperson p JOIN accounts_user u ON u.id = p.user_id)
    ON p.issuer = %s AND p.subject = %s
"""
# For ids of those who are no person and have no row here.
_IDS = uuid.UUID("5a0d6a3e-5c3b-4d0c-9a52-0f9a6a1f7d11")
_WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreigner:
    """Whom the issuer vouches for, and in which of its organizations, in its own words."""

    subject: str
    kind: Kind = Kind.USER
    proof: Proof
    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    organization_slug: str
    organization_name: str = ""
    organization_id: str = ""
    role: str
    scopes: frozenset[str] | None = None
    issued_at: datetime | None = None
    may_make_organization: bool = False


@dataclass(frozen=True, slots=True)
class _Organization:
    id: uuid.UUID
    is_suspended: bool
    foreign_id: str


@dataclass(frozen=True, slots=True)
class _Person:
    id: uuid.UUID
    is_active: bool
    is_waiting: bool
    username: str
    cache_epoch: int
    access_epoch: int
    name: str
    email: str
    seen_at: datetime
    valid_from: datetime | None


def issuer_name() -> str:
    """Whose tokens and keys are trusted; "" for nobody's. Keys alone are known by the host that is asked about them."""
    if settings.TRUSTED_TOKENS is not None:
        return str(settings.TRUSTED_TOKENS.issuer)
    if settings.KEY_VALIDATION is not None:
        parts = urlsplit(settings.KEY_VALIDATION.validation_url)
        return f"{parts.scheme}://{parts.netloc}"
    return ""


def resolve(foreigner: Foreigner, *, now: datetime) -> Principal:
    """Who that is here, in one query for somebody who is known.

    A person is made at first sight, known by issuer and subject and never by an e-mail address; an organization only
    where ORGS_AUTO_CREATE says so. Raises UnknownOrganization, Suspended, Waiting (403) or InvalidForeignToken (401).
    """
    issuer = issuer_name()
    if not 0 < len(foreigner.subject) <= LONGEST_SUBJECT or "\0" in foreigner.subject + foreigner.organization_slug:
        raise InvalidForeignToken
    organization, person = _look(issuer, foreigner)
    if organization is None and foreigner.may_make_organization and settings.ORGS_AUTO_CREATE:
        issuers.make_organization(
            issuer=issuer,
            slug=foreigner.organization_slug,
            name=foreigner.organization_name,
            foreign_id=foreigner.organization_id,
            now=now,
        )
        organization, person = _look(issuer, foreigner)
    if organization is None or not _is_same(organization, foreigner, issuer=issuer):
        raise UnknownOrganization(foreigner.organization_slug)
    if organization.is_suspended:
        raise Suspended
    if foreigner.kind != Kind.USER:
        return _principal(foreigner, organization, uuid.uuid5(_IDS, f"{issuer}\0{foreigner.subject}"))
    if person is None:
        issuers.make_person(
            issuer=issuer, subject=foreigner.subject, name=foreigner.name, email=foreigner.email, now=now
        )
        _, person = _look(issuer, foreigner)
        if person is None:
            raise InvalidForeignToken  # deleted in this very moment
    _require_access(person, foreigner)
    _keep_up(person, foreigner, issuer=issuer, now=now)
    return _principal(foreigner, organization, person.id, person)


def _look(issuer: str, foreigner: Foreigner) -> tuple[_Organization | None, _Person | None]:
    row = fetch_row(_FIND, [foreigner.organization_slug, issuer, issuer, foreigner.subject])
    if row is None:
        return None, None
    organization_id, suspended_at, foreign_id, *of_person = row
    organization = organization_id and _Organization(organization_id, suspended_at is not None, foreign_id)
    return organization, _person(of_person)


def _person(row: list[Any]) -> _Person | None:
    user_id, is_active, waitlisted_at, *others = row
    return _Person(user_id, is_active, waitlisted_at is not None, *others) if user_id else None


def _is_same(organization: _Organization, foreigner: Foreigner, *, issuer: str) -> bool:
    """Whether the issuer still means the organization that it meant first; its id is learned from the first token."""
    named = foreigner.organization_id
    if not named or named == organization.foreign_id:
        return True
    if not organization.foreign_id:
        return issuers.learn_foreign_id(organization_id=organization.id, issuer=issuer, foreign_id=named)
    logger.warning("the trusted issuer has another organization by the slug %s now", foreigner.organization_slug)
    return False


def _require_access(person: _Person, foreigner: Foreigner) -> None:
    if not person.is_active:
        raise Waiting if person.is_waiting else Suspended
    # Whole seconds are all that a token tells, so the second in which access ended counts as before it.
    if person.valid_from and foreigner.issued_at and foreigner.issued_at <= person.valid_from:
        raise InvalidForeignToken


def _keep_up(person: _Person, foreigner: Foreigner, *, issuer: str, now: datetime) -> None:
    """Follow the issuer's name and address of the person; looked at once in a while, and written when they changed."""
    if now - person.seen_at < timedelta(seconds=settings.ORG_RESOLVER_SECONDS):
        return
    issuers.follow(issuer=issuer, subject=foreigner.subject, name=foreigner.name, email=foreigner.email, now=now)


def _principal(
    foreigner: Foreigner, organization: _Organization, principal_id: uuid.UUID, person: _Person | None = None
) -> Principal:
    return Principal(
        id=principal_id,
        kind=foreigner.kind,
        proof=foreigner.proof,
        organization_id=organization.id,
        organization_slug=foreigner.organization_slug,
        role=foreigner.role if person else _WORKER,
        scopes=foreigner.scopes,
        name=foreigner.name or (person.name if person else ""),
        login=person.username if person else "",
        email=foreigner.email or (person.email if person else ""),
        cache_epoch=person.cache_epoch if person else 0,
        access_epoch=person.access_epoch if person else 0,
    )
