"""Offers of machines, which wait for the consent of whom they are made to."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Exists, OuterRef

from accounts.models import User
from accounts.models.users import Person
from clouddev.models.machines import Machine, Member
from core.fields import ChoiceField


class OfferQuerySet(models.QuerySet["Offer"]):
    """Offers."""

    def waiting(self, now: datetime) -> "OfferQuerySet":
        """Those whose time is not over."""
        return self.filter(expires_at__gt=now)

    def acceptable(self, now: datetime) -> "OfferQuerySet":
        """Those that can be accepted: there is the machine, and whoever offers it still may.

        What ends an offer deletes it, too; this is asked again for what happens at the same moment.
        """
        deciders = Member.objects.filter(
            machine=OuterRef("machine_id"), user=OuterRef("made_by_id"), role=Member.Role.OWNER
        )
        open_ones = self.waiting(now).filter(machine__organization__suspended_at=None, made_by__is_active=True)
        return open_ones.exclude(machine__state=Machine.State.DESTROYING).filter(Exists(deciders))

    def decided_by(self, person: Person) -> "OfferQuerySet":
        """Those of machines that the person decides about, whoever of its owners made them."""
        return self.filter(machine__in=Machine.objects.for_owner(person))


class Offer(models.Model):
    """A machine that its recipient may use, or is to own, as soon as they accept; until then nothing has changed.

    What was shown is what is accepted: one that says something else is another row.
    """

    class Kind(models.TextChoices):
        """What accepting does."""

        MEMBER = "member"
        TRANSFER = "transfer"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.ForeignKey(Machine, verbose_name="workspace", on_delete=models.CASCADE, related_name="offers")
    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="offers_received")
    kind = ChoiceField(max_length=10, choices=Kind)
    # What the recipient would be; an owner, where it is to be theirs.
    role = ChoiceField(max_length=10, choices=Member.Role)
    made_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="offers_made")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["machine", "recipient", "kind"], name="offered_once_to_each_person"),
            models.CheckConstraint(
                name="offer_transfer_is_to_an_owner", condition=models.Q(kind="member") | models.Q(role="owner")
            ),
        )

    def __str__(self) -> str:
        return f"{self.machine} to {self.recipient} ({self.kind})"
