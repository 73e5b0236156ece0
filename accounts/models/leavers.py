"""Who no longer fits the sign-up policy, and what is known of those who are asked about it."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models.users import User
from core.fields import ChoiceField

LONGEST_SENTENCE = 300


class DepartureQuerySet(models.QuerySet["Departure"]):
    """Departures."""

    def open(self) -> "DepartureQuerySet":
        """Those of people who are out because of them, and for nothing else."""
        return self.filter(outcome=Departure.Outcome.OUT)

    def mistaken(self) -> "DepartureQuerySet":
        """Those that an operator has called wrong: the policy isn't asked about these people any more."""
        return self.filter(outcome=Departure.Outcome.MISTAKE)


class Departure(models.Model):
    """Somebody was shut out because the sign-up policy no longer let them in."""

    class FoundBy(models.TextChoices):
        """Where it was noticed."""

        LOOK = "look", "the hourly look"
        SIGN_IN = "sign-in", "their own sign-in"

    class Outcome(models.TextChoices):
        """out → one of the others. A person has one that is `out` at most, and may come back while they have it."""

        OUT = "out", "out"
        BACK = "back", "came back"
        RESTORED = "restored", "restored by an operator"
        MISTAKE = "mistake", "was wrong"
        SUSPENDED = "suspended", "suspended by an operator"

    user = models.ForeignKey(User, verbose_name="person", on_delete=models.CASCADE, related_name="departures")
    reason = models.CharField("why", max_length=LONGEST_SENTENCE)
    found_by = ChoiceField("noticed by", max_length=10, choices=FoundBy)
    left_at = models.DateTimeField("out since")
    # How much of each part of docs/access-ended.md has ended.
    ended = models.JSONField(default=dict, editable=False)
    outcome = ChoiceField(max_length=10, choices=Outcome, default=Outcome.OUT)
    closed_at = models.DateTimeField("decided at", null=True, blank=True)
    closed_by = models.ForeignKey(
        User, verbose_name="decided by", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = DepartureQuerySet.as_manager()

    class Meta:
        """Newest first."""

        verbose_name = "leaver"
        verbose_name_plural = "leavers"
        ordering = ("-left_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["user"], name="departure_open_once", condition=models.Q(outcome="out")),
        )
        indexes = (
            models.Index(fields=["closed_at"], name="departure_closed", condition=models.Q(closed_at__isnull=False)),
        )

    def __str__(self) -> str:
        return str(self.user)


class ProviderLook(models.Model):
    """How asking one provider of memberships went, and how often in a row it failed."""

    name = models.CharField(max_length=50, unique=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=LONGEST_SENTENCE, blank=True)
    # How many good looks in a row have missed a person, by their id, while that isn't enough yet.
    missed = models.JSONField(default=dict, editable=False)

    # So many failures in a row are told to operators; so many looks in a row have to miss somebody after a failure.
    MANY: ClassVar[int] = 3

    class Meta:
        """By name."""

        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_blind(self) -> bool:
        """Whether it has failed so often that leavers go unnoticed."""
        return self.failures >= self.MANY


class ListedName(models.Model):
    """Whose a listed login or organization was when it first let somebody in.

    Names at GitHub are free again once their owner takes another one; what is listed is the account, not its name.
    """

    class Kind(models.TextChoices):
        """What is called so."""

        LOGIN = "login"
        ORGANIZATION = "organization"

    kind = ChoiceField(max_length=12, choices=Kind)
    name = models.CharField(max_length=100)
    github_id = models.BigIntegerField()
    first_used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """By name."""

        ordering = ("kind", "name")
        constraints = (models.UniqueConstraint(fields=["kind", "name"], name="listed_name_is_one_account"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
