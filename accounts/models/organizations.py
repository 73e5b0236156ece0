"""Organizations, who belongs to them, and who is invited to."""

import re
import uuid
from datetime import datetime

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q

from accounts.models.users import Person, User
from core.fields import ChoiceField

LONGEST_SLUG = 100
_SLUG = re.compile(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z")
SLUG = RegexValidator(_SLUG.pattern, "A slug is lower-case letters and digits, with single hyphens.")


def is_slug(text: str) -> bool:
    """Whether an organization could have this slug, as far as its letters go."""
    return _SLUG.fullmatch(text) is not None


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """Organizations."""

    def for_member(self, person: Person) -> "OrganizationQuerySet":
        """Those that the person belongs to, the suspended ones too."""
        return self.filter(Exists(Membership.objects.filter(organization=OuterRef("pk"), user_id=person.id)))

    def shared(self) -> "OrganizationQuerySet":
        """Those that are nobody's personal one."""
        return self.filter(personal_for=None)


class Organization(models.Model):
    """What owns things. Everybody has a personal one from their first sign-in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    slug = models.CharField(max_length=LONGEST_SLUG, unique=True, validators=[SLUG])
    tier = models.CharField(max_length=50, default="FREE")
    region = models.CharField(max_length=50, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    personal_for = models.OneToOneField(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="personal_organization"
    )
    # Counts for their quota, as long as they are an owner.
    made_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(User, through="Membership", related_name="organizations")

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        """By slug."""

        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug

    @property
    def is_personal(self) -> bool:
        """Whether it is one person's own, and nobody else's."""
        return self.personal_for_id is not None


class RetiredSlug(models.Model):
    """The slug of an organization that was deleted: nobody else's, ever, unless an operator frees it.

    Services beside this server know organizations by slug, and would give a new one what was the old one's. Triggers
    write the rows, and refuse another organization of such a slug as if it were taken (`0011_retired_slugs.py`), so
    that it holds however a row comes and goes.
    """

    slug = models.CharField(max_length=LONGEST_SLUG, primary_key=True)
    organization_id = models.UUIDField()
    retired_at = models.DateTimeField()

    class Meta:
        """By slug."""

        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Memberships."""

    def of(self, person: Person) -> "MembershipQuerySet":
        """The person's own."""
        return self.filter(user_id=person.id)

    def acting_owners(self) -> "MembershipQuerySet":
        """Those of owners who are not shut out of this server: who is can decide nothing."""
        return self.filter(role=Membership.Role.OWNER, user__is_active=True)


class Membership(models.Model):
    """A person's role in an organization."""

    class Role(models.TextChoices):
        """What a member may do, most first."""

        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = ChoiceField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        """One role for each person and organization."""

        constraints = (
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once_per_organization"),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} ({self.role})"

    @property
    def is_owner(self) -> bool:
        """Whether they decide about everything."""
        return self.role == self.Role.OWNER

    @property
    def is_admin(self) -> bool:
        """Whether they decide about members and invitations."""
        return self.role in {self.Role.OWNER, self.Role.ADMIN}


Role = Membership.Role


def _may_be_made() -> Q:
    """Whether whoever made an invitation may: an owner, or an admin for all but owners."""
    own = Membership.objects.filter(organization=OuterRef("organization_id"), user=OuterRef("made_by_id"))
    return Q(Exists(own.filter(role=Role.OWNER))) | (Q(Exists(own.filter(role=Role.ADMIN))) & ~Q(role=Role.OWNER))


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Invitations."""

    def waiting(self, now: datetime) -> "InvitationQuerySet":
        """Those that nobody has decided about, and whose time is not over."""
        return self.filter(state=Invitation.State.WAITING, expires_at__gt=now)

    def acceptable(self, now: datetime) -> "InvitationQuerySet":
        """Those that can be accepted: the organization is open, and whoever invites still may.

        What takes that away withdraws the invitation, too; this is asked again for what happens at the same moment.
        """
        open_ones = self.waiting(now).filter(organization__suspended_at=None, made_by__is_active=True)
        return open_ones.filter(_may_be_made())

    def without_power(self) -> "InvitationQuerySet":
        """Those whose makers may not invite so, or not any more."""
        return self.exclude(_may_be_made())

    def withdraw(self, *, now: datetime, by: Person | None) -> int:
        """Withdraw those that nobody has decided about; says how many."""
        undecided = self.filter(state=Invitation.State.WAITING)
        return undecided.update(
            state=Invitation.State.WITHDRAWN, decided_at=now, decided_by_id=by.id if by is not None else None
        )


class Invitation(models.Model):
    """An offer to become a member, for whoever has this verified e-mail address. Until they accept nothing changes.

    What was shown is what is accepted: one that says something else is another row. Of its link the digest is kept.
    """

    class State(models.TextChoices):
        """waiting → accepted, declined or withdrawn. Expiry is a matter of `expires_at`."""

        WAITING = "waiting"
        ACCEPTED = "accepted"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = ChoiceField(max_length=10, choices=Role)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    state = ChoiceField(max_length=10, choices=State, default=State.WAITING)
    made_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations_made")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "email"], condition=Q(state="waiting"), name="one_invitation_waits_per_address"
            ),
        )
        indexes = (models.Index(fields=["email"]), models.Index(fields=["expires_at"]))

    def __str__(self) -> str:
        return f"{self.email} to {self.organization} ({self.role})"
