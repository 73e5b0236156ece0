"""Organizations: made by people, read by their members, renamed, and deleted once nothing is in them."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import IssuerPerson, Membership, Organization, RetiredSlug, User
from accounts.models.organizations import MembershipQuerySet, Role, is_slug
from accounts.models.users import Person
from accounts.principals import Principal
from accounts.services import access
from accounts.services.access import Doer
from accounts.services.configured_organizations import bind
from accounts.services.organization_contents import what_is_in
from accounts.trusted_issuers import issuer_name
from core.errors import Conflict, Forbidden, Malformed, NotFound
from core.rate_limits import RateLimit

# Also so that nobody finds out in bulk which slugs are taken.
ATTEMPTS = RateLimit("organizations-made", "30/hour")


class NoSuchOrganization(NotFound):
    """404: there is none of this slug, or the person is no member of it; the two look the same."""

    default = "There is no such organization, or you are no member of it."


class OwnersOnly(Forbidden):
    """403: the person is a member, and no owner."""

    default = "Only an owner of this organization may do this. Ask one of them."


class AdminsOnly(Forbidden):
    """403: the person is a member, and neither an owner nor an admin."""

    default = "Only owners and admins of this organization may do this. Ask one of them."


class OrganizationSuspended(Forbidden):
    """403: nothing changes in a suspended organization, but that somebody leaves it."""

    default = "This organization is suspended. Ask an operator of this server to restore it."


class PersonalOrganization(Conflict):
    """409: it is one person's own, and stays so."""

    default = "A personal organization is its person's alone: it can't be shared, left or deleted. Create another one."


class SlugTaken(Conflict):
    """409: another organization has this slug, or had it."""

    default = "This slug is taken. Choose another one."


class NotOffered(Forbidden):
    """403: people don't make organizations on this server."""

    default = "On this server organizations are made by its operators. Ask one of them."


class TooManyOrganizations(Forbidden):
    """403: the person has made as many as they may."""


class NotEmpty(Conflict):
    """409: something is still in it."""


def create(*, name: str, slug: str, tier: str = "", region: str = "", person: Doer) -> Organization:
    """Make an organization whose owner the person is.

    Tokens of the trusted issuer may act in one that a superuser makes. The issuer's people make theirs at the issuer: a
    row here would outlive what they are there, and be of a slug that another of its tenants has.
    Raises NotOffered, TooManyOrganizations, Malformed for a tier that can't be chosen, SlugTaken, TooManyRequests and
    AccessEnded.
    """
    if not settings.ORGANIZATIONS_PER_PERSON:
        raise NotOffered
    if IssuerPerson.objects.filter(user_id=person.id).exists():
        raise NotOffered("Make the organization in the application that you sign in to, and not here.")
    if tier and tier not in settings.ORGANIZATION_TIERS:
        raise Malformed(f"tier: Choose one of these: {', '.join(settings.ORGANIZATION_TIERS)}.")
    ATTEMPTS.spend(str(person.id))
    organization = Organization(
        name=name, slug=slug, tier=tier or settings.ORGANIZATION_TIERS[0], region=region, made_by_id=person.id
    )
    issuer = issuer_name()
    try:
        with transaction.atomic():
            # Behind the person's lock: of several at once no more come through than they may have.
            access.hold(person)
            _require_room(person)
            organization.save(force_insert=True)
            Membership.objects.create(organization=organization, user_id=person.id, role=Role.OWNER)
            record("organization.created", organization, person)
            if issuer and _is_superuser(person):
                bind(organization=organization, issuer=issuer, now=timezone.now())
    except IntegrityError as error:
        if any(table.objects.filter(slug=slug).exists() for table in (Organization, RetiredSlug)):
            raise SlugTaken from error
        raise
    return organization


def _is_superuser(person: Doer) -> bool:
    """Whether this person may say whose tokens count."""
    return User.objects.filter(pk=person.id, is_active=True, is_superuser=True).exists()


def list_memberships(*, person: Person, after: str = "", limit: int) -> list[Membership]:
    """The person's memberships with their organizations, by slug, from the one after this slug on."""
    own = _reached_by(person).select_related("organization").filter(organization__slug__gt=after)
    return list(own.order_by("organization__slug", "pk")[:limit])


def membership_in(*, slug: str, person: Person) -> Membership:
    """The person's membership of this organization, with the organization. Raises NoSuchOrganization."""
    same = _reached_by(person).select_related("organization").filter(organization__slug=slug)
    own = same.first() if is_slug(slug) else None
    if own is None:
        raise NoSuchOrganization
    return own


def role_in(*, organization: Organization, person: Person) -> str | None:
    """What the person is in the organization; None for no member."""
    return Membership.objects.of(person).filter(organization=organization).values_list("role", flat=True).first()


def hold(*, slug: str, person: Doer, least: Role, even_suspended: bool = False, to_delete: bool = False) -> Membership:
    """The person's membership, and the organization with all roles in it as they are until the transaction ends.

    In everybody's order: the organization, then the person. Raises NoSuchOrganization, AccessEnded, OwnersOnly or
    AdminsOnly for whoever is less than `least`, and OrganizationSuspended.
    """
    same = Organization.objects.for_member(person).filter(slug=slug)
    # Keys of what is being added to it are held against a deletion, and against nothing else.
    if not is_slug(slug) or not same.select_for_update(no_key=not to_delete).values_list("pk", flat=True):
        raise NoSuchOrganization
    access.hold(person)
    own = membership_in(slug=slug, person=person)
    require(own, least)
    if own.organization.suspended_at is not None and not even_suspended:
        raise OrganizationSuspended
    return own


def require(own: Membership, least: Role) -> None:
    """Raise OwnersOnly or AdminsOnly for a member who is less than that."""
    if least == Role.OWNER and not own.is_owner:
        raise OwnersOnly
    if least == Role.ADMIN and not own.is_admin:
        raise AdminsOnly


@transaction.atomic
def rename(*, slug: str, name: str, person: Doer) -> Organization:
    """Give the organization another name, for its owners; its slug stays. Raises as `hold` does."""
    organization = hold(slug=slug, person=person, least=Role.OWNER).organization
    if organization.name != name:
        before, organization.name = organization.name, name
        organization.save(update_fields=["name"])
        record("organization.renamed", organization, person, **{"from": before, "to": name})
    return organization


@transaction.atomic
def delete(*, slug: str, person: Doer) -> None:
    """Delete an organization with nothing in it, for its owners; its members lose what they were given for it.

    Its slug is nobody else's afterwards (`RetiredSlug`).

    Raises PersonalOrganization, NotEmpty, and as `hold` does.
    """
    organization = hold(slug=slug, person=person, least=Role.OWNER, to_delete=True).organization
    if organization.is_personal:
        raise PersonalOrganization
    if held := what_is_in(organization):
        raise NotEmpty(f"{organization.name} is not empty: it has {_listed(held)}. Remove that first.")
    record("organization.deleted", organization, person, members=organization.memberships.count())
    organization.delete()


def record(action: str, organization: Organization, by: audit.Actor | None, **details: str | int | bool | None) -> None:
    """Write down what was done to the organization."""
    audit.record(action, actor=by, target=organization, organization_id=organization.pk, details=details)


def _reached_by(person: Person) -> MembershipQuerySet:
    """The person's memberships: all of them with a login of theirs, and with a key that in the key's organization."""
    own = Membership.objects.of(person)
    if isinstance(person, Principal) and not person.is_own_login:
        return own.filter(organization_id=person.organization_id)
    return own


def _require_room(person: Person) -> None:
    """Raise TooManyOrganizations for whoever made as many as they may, and owns them still."""
    own = Membership.objects.of(person).filter(role=Role.OWNER, organization__made_by_id=person.id)
    if own.count() >= settings.ORGANIZATIONS_PER_PERSON:
        raise TooManyOrganizations(
            f"You have made {settings.ORGANIZATIONS_PER_PERSON} organizations that you own, which is the most you may "
            "have. Delete one that nobody needs, or ask an operator of this server."
        )


def _listed(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
