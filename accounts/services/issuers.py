"""People and organizations that are here because a trusted issuer spoke of them."""

import re
import uuid
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import IssuerOrganization, IssuerPerson, Organization, User
from accounts.models.organizations import SLUG
from accounts.services.configured_organizations import bind
from core.crypto import random_hex

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 255
_LONGEST_EMAIL = 254
_LONGEST_SLUG = 100
_LONGEST_STEM = 40


def make_person(*, issuer: str, subject: str, name: str, email: str, now: datetime) -> None:
    """Make the person whom the issuer knows by `subject`, unless they are here by now.

    They have no password, no address that would count as theirs, and no organization of their own: what they may do is
    what their tokens say. Their username ends at random, so that it is nobody else's login.
    """
    stem = _NOT_SLUG.sub("-", (email.partition("@")[0] or name or "person").lower()).strip("-")[:_LONGEST_STEM]
    try:
        with transaction.atomic():
            user = User(username=f"{stem or 'person'}-{random_hex(4)}", name=_printable(name, _LONGEST_NAME))
            user.set_unusable_password()
            user.save(force_insert=True)
            IssuerPerson.objects.create(
                issuer=issuer,
                subject=subject,
                user=user,
                name=user.name,
                email=_printable(email, _LONGEST_EMAIL),
                created_at=now,
                seen_at=now,
            )
            audit.record("user.came_from_issuer", actor=user, target=user, details={"issuer": issuer})
    except IntegrityError:
        # Another request of theirs made them in the same moment, or the name was taken; who looks again finds out.
        return


@transaction.atomic
def follow(*, issuer: str, subject: str, name: str, email: str, now: datetime) -> None:
    """Note that the person was seen, and take over the issuer's name and address of them, where it tells any."""
    found = {"name": _printable(name, _LONGEST_NAME), "email": _printable(email, _LONGEST_EMAIL)}
    told = {field: value for field, value in found.items() if value}
    seen = IssuerPerson.objects.filter(issuer=issuer, subject=subject)
    if seen.filter(seen_at__lt=now).update(seen_at=now, **told) and "name" in told:
        people = User.objects.filter(pk__in=seen.values("user"), github_id=None)
        people.exclude(name=told["name"]).update(name=told["name"])


def make_organization(*, issuer: str, slug: str, name: str, foreign_id: str, now: datetime) -> None:
    """Make the organization that the issuer's token names, for that issuer; nothing where the slug is taken or none."""
    try:
        SLUG(slug)
    except ValidationError:
        return
    if len(slug) > _LONGEST_SLUG:
        return
    try:
        with transaction.atomic():
            row = Organization.objects.create(name=_printable(name, _LONGEST_NAME) or slug, slug=slug)
            audit.record("organization.auto_created", actor=None, target=row, organization_id=row.pk)
            bind(organization=row, issuer=issuer, foreign_id=foreign_id[:_LONGEST_NAME], now=now)
    except IntegrityError:
        return


def learn_foreign_id(*, organization_id: uuid.UUID, issuer: str, foreign_id: str) -> bool:
    """Keep the issuer's own id of the organization, which it had named none of; False when another was kept first."""
    rows = IssuerOrganization.objects.filter(organization_id=organization_id, issuer=issuer)
    if rows.filter(foreign_id="").update(foreign_id=foreign_id[:_LONGEST_NAME]):
        return True
    return rows.filter(foreign_id=foreign_id[:_LONGEST_NAME]).exists()


def _printable(text: str, longest: int) -> str:
    """What a stranger's server says, without what would break a line, a log or the database."""
    return "".join(letter for letter in text if letter.isprintable()).strip()[:longest]
