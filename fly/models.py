"""The apps that this server has made at Fly, or means to make; and what was found to differ there."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from core.fields import ChoiceField

# Whoever makes or deletes an app renews the claim before each question to Fly, which takes 5 seconds at the most;
# one that didn't for so long is gone with its process.
CLAIM_LASTS = timedelta(seconds=20)


class FlyAppQuerySet(models.QuerySet["FlyApp"]):
    """Apps at Fly."""

    def free(self, *, now: datetime) -> "FlyAppQuerySet":
        """Those that nobody is making or deleting right now."""
        return self.filter(models.Q(claimed_at=None) | models.Q(claimed_at__lt=now - CLAIM_LASTS))


class FlyApp(models.Model):
    """One app at Fly. The row is there before Fly is asked to make it, and stays when it is gone.

    So the row proves that the app is ours: an app at Fly without one is somebody else's, whatever it is called.
    """

    class State(models.TextChoices):
        """intended → ready → deleting → gone; intended means that Fly may or may not have it yet."""

        INTENDED = "intended"
        READY = "ready"
        DELETING = "deleting"
        GONE = "gone"

    name = models.CharField(primary_key=True, max_length=63)
    # Its own private network (6PN): by default all apps of an organization at Fly can reach each other.
    network = models.CharField(max_length=63)
    # Sent when the app is made, so that asking twice makes one (Fly's `idempotency_key`).
    idempotency_key = models.UUIDField(default=uuid.uuid4, editable=False)
    state = ChoiceField(max_length=10, choices=State, default=State.INTENDED)
    # Whose call is making or deleting it, and since when: its lease (core/leases.py).
    claim = models.UUIDField(null=True, blank=True, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()
    # When Fly first had it; what is still missing then are its addresses.
    made_at = models.DateTimeField(null=True, blank=True)
    # Why Fly refused it for good, in its own words, until somebody asks for it again and Fly says otherwise.
    refusal = models.CharField(max_length=300, blank=True, default="", db_default="")
    ready_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = FlyAppQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")
        verbose_name = "app at Fly"
        verbose_name_plural = "apps at Fly"
        indexes = (
            models.Index(
                fields=["created_at"],
                name="fly_app_unfinished",
                condition=models.Q(state__in=["intended", "deleting"]),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="fly_app_claimed_at",
                condition=models.Q(claim=None, claimed_at=None)
                | models.Q(claim__isnull=False, claimed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="fly_app_ready_at",
                condition=~models.Q(state="ready") | models.Q(ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="fly_app_gone_at",
                condition=~models.Q(state="gone") | models.Q(gone_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.name


class DiscrepancyQuerySet(models.QuerySet["Discrepancy"]):
    """What was found to differ."""

    def replace(self, *, kinds: Collection[str], findings: Mapping[tuple[str, str], str], now: datetime) -> None:
        """Keep what a comparison found, a sentence for each kind and name, and forget what is resolved.

        `kinds` are all that the comparison looks for; of others' findings it knows nothing. What was found before
        keeps the time at which it was first seen. Comparisons may run beside each other: none forgets what it found
        itself, nor what a later one has seen.
        """
        found = self.bulk_create(
            # In one order, so that two at once wait for each other instead of for ever.
            (
                Discrepancy(kind=kind, fly_name=name, sentence=sentence, first_seen_at=now, last_seen_at=now)
                for (kind, name), sentence in sorted(findings.items())
            ),
            update_conflicts=True,
            unique_fields=["kind", "fly_name"],
            update_fields=["sentence", "last_seen_at"],
        )
        resolved = self.filter(kind__in=kinds, last_seen_at__lt=now)
        resolved.exclude(pk__in=[discrepancy.pk for discrepancy in found]).delete()


class Discrepancy(models.Model):
    """Something that Fly has and we don't, or the reverse, as the last comparison found it."""

    class Kind(models.TextChoices):
        """What is wrong."""

        STRANGER = "stranger", "at Fly only"
        MISSING = "missing", "gone at Fly"
        ABANDONED = "abandoned", "ours, and used by nothing"
        DATABASE = "database", "in the data database only"
        SURPLUS = "surplus", "more machines than one"
        UNKNOWN = "unknown", "in our app, and unknown"
        EMPTY = "empty", "live without a machine"
        OTHER = "other", "another version than released"

    kind = ChoiceField(max_length=10, choices=Kind)
    fly_name = models.CharField("name at Fly", max_length=255)
    sentence = models.CharField(max_length=300)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    objects = DiscrepancyQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-first_seen_at", "-pk")
        verbose_name_plural = "discrepancies"
        constraints = (models.UniqueConstraint(fields=["kind", "fly_name"], name="discrepancy_once"),)

    def __str__(self) -> str:
        return f"{self.fly_name}: {self.get_kind_display()}"


def url_of(fly_name: str) -> str:
    """The public address of an app at Fly."""
    return settings.FLY_APP_URL.replace("{app}", fly_name)


def called(name: str) -> Exact:
    """The condition that `app_name` is this one without regard to case, as the unique constraints have it."""
    return Exact(Lower("app_name"), Lower(Value(name)))
