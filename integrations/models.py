"""Who owns which connection: Nango can read everything, so this is decided here."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db import models

from accounts.models import AccessToken, APIKey, Organization, User
from core.database import fetch_row
from core.fields import ChoiceField, SealedField
from integrations.nango_ids import LONGEST_ID

# Far longer than a request may last, and a change that Nango was sent may take to arrive there.
CLAIM_LASTS = timedelta(minutes=1)
# A deletion that takes longer is told to the connection's owner and to operators.
DELETION_LASTS = timedelta(minutes=5)


class Person(Protocol):
    """Somebody who can own connections: a User, or the Principal of an API request."""

    @property
    def id(self) -> uuid.UUID:
        """The person's id."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """What is known of a caller's own connection, as far as a hot route needs it."""

    id: uuid.UUID
    organization_id: uuid.UUID
    is_suspended: bool
    state: str
    is_troubled: bool
    # Until when new credentials may reach Nango at any moment, if such a time is known.
    unsettled_until: datetime | None

    def is_settled(self, *, now: datetime) -> bool:
        """Whether the credentials that Nango gives now are those that it will give for a while."""
        return self.unsettled_until is None or self.unsettled_until < now


class ConnectionQuerySet(models.QuerySet["Connection"]):
    """Connections."""

    def of(self, person: Person) -> "ConnectionQuerySet":
        """The person's own, whatever their state."""
        return self.filter(owner_id=person.id)

    def at(self, *, integration_id: str, connection_id: str) -> "ConnectionQuerySet":
        """The one at this address, whosever it is."""
        return self.filter(integration_id=integration_id, connection_id=connection_id)

    def free(self, *, now: datetime) -> "ConnectionQuerySet":
        """Those that no attempt to change them may still be under way for."""
        return self.filter(models.Q(claim=None) | models.Q(claimed_at__lt=now - CLAIM_LASTS))

    def left_behind(self, *, now: datetime) -> "ConnectionQuerySet":
        """Half made or half deleted by somebody who must be gone by now, the longest waiting first."""
        claims = models.Q(state=Connection.State.CLAIMING, claimed_at__lt=now - CLAIM_LASTS)
        # Those of somebody who has left may be kept for a while.
        due = models.Q(deleting_since=None) | models.Q(deleting_since__lte=now)
        deletions = models.Q(state=Connection.State.DELETING) & due
        return self.filter(claims | deletions).free(now=now).order_by("claimed_at", "created_at", "pk")

    def overdue(self, *, now: datetime) -> "ConnectionQuerySet":
        """Those that were to be deleted long ago, and are still at Nango as far as we know."""
        return self.filter(is_overdue(now=now))

    def status_of(self, *, person: Person, integration_id: str, connection_id: str) -> ConnectionStatus | None:
        """The state of the person's own connection, None when there is none.

        One statement by hand: the ORM's look-up of the same row takes three times as long.
        """
        row = fetch_row(_STATUS, [CLAIM_LASTS, integration_id, connection_id, person.id])
        return ConnectionStatus(*row) if row else None


def is_overdue(*, now: datetime) -> models.Q:
    """What the deletions are that should be done by now."""
    return models.Q(state=Connection.State.DELETING, deleted_at=None, deleting_since__lt=now - DELETION_LASTS)


_STATUS = """
SELECT c.id, c.organization_id, o.suspended_at IS NOT NULL, c.state,
       c.needs_reconnect OR c.missing_since IS NOT NULL,
       GREATEST(c.reconnecting_until, CASE WHEN c.claim IS NOT NULL THEN c.claimed_at + %s END)
  FROM integrations_connection c
  JOIN accounts_organization o ON o.id = c.organization_id
 WHERE c.integration_id = %s AND c.connection_id = %s AND c.owner_id = %s
"""


class Connection(models.Model):
    """A person's connected account, as this server knows it; the credentials are Nango's alone.

    A row is there before Nango is asked to make a connection and until it is known to have deleted
    it, so that whatever happens in between can be finished or undone.
    """

    class State(models.TextChoices):
        """claiming → active → deleting; claiming means that Nango may or may not have it yet."""

        CLAIMING = "claiming"
        ACTIVE = "active"
        DELETING = "deleting"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    integration_id = models.CharField(max_length=LONGEST_ID)
    connection_id = models.CharField(max_length=LONGEST_ID)
    provider = models.CharField(max_length=LONGEST_ID, blank=True)
    # A person goes after their connections, so that no credential of theirs is left at Nango.
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="connections")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="connections")
    state = ChoiceField(max_length=10, choices=State, default=State.ACTIVE)
    # Which attempt is changing the connection at Nango, and since when. An attempt whose outcome is open
    # leaves its claim, and what it sent may still arrive: until then nobody else gets this address.
    claim = models.UUIDField(null=True, blank=True, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When its owner asked to delete it, or from when on it is to be because they have left; and since when it is gone
    # at Nango and written down. What an earlier attempt sent may arrive even then, so a row that is `deleted_at` keeps
    # its address for a while.
    deleting_since = models.DateTimeField("to be deleted since", null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # How often finishing it failed, and until when that isn't tried again.
    failures = models.PositiveSmallIntegerField("failed attempts to finish", default=0, db_default=0, editable=False)
    try_again_at = models.DateTimeField(null=True, blank=True, editable=False)
    needs_reconnect = models.BooleanField(default=False)
    # While a link to renew the connection is out, whoever holds it may do so without our hearing of it.
    reconnecting_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField("last seen at Nango", null=True, blank=True)
    missing_since = models.DateTimeField("missing at Nango since", null=True, blank=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering = ("-created_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["integration_id", "connection_id"], name="connection_has_one_owner"),
            # A claim that is let go leaves its time.
            models.CheckConstraint(
                name="connection_claimed_at", condition=models.Q(claim=None) | models.Q(claimed_at__isnull=False)
            ),
            models.CheckConstraint(
                name="connection_deleting_since",
                condition=models.Q(state="deleting", deleting_since__isnull=False)
                | models.Q(~models.Q(state="deleting"), deleting_since=None, deleted_at=None),
            ),
        )
        indexes = (
            models.Index(fields=["owner", "integration_id"]),
            models.Index(fields=["confirmed_at"], name="connection_unfinished", condition=~models.Q(state="active")),
        )

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.connection_id}"

    def is_left_behind(self, *, now: datetime) -> bool:
        """Whether this was half made or half deleted by somebody who must be gone by now."""
        unfinished = self.state in {self.State.CLAIMING, self.State.DELETING}
        return unfinished and self.claimed_at is not None and self.claimed_at < now - CLAIM_LASTS

    def is_overdue(self, *, now: datetime) -> bool:
        """Whether it should be deleted by now, and isn't."""
        waits_since = self.deleting_since if self.deleted_at is None else None
        return waits_since is not None and waits_since < now - DELETION_LASTS


class Tombstone(models.Model):
    """Where a connection was deleted a moment ago: an answer of Nango's from before must not bring it back."""

    id = models.BigAutoField(primary_key=True)
    integration_id = models.CharField(max_length=LONGEST_ID)
    connection_id = models.CharField(max_length=LONGEST_ID)
    # By the database's clock.
    deleted_at = models.DateTimeField(db_index=True)

    class Meta:
        """One for each address."""

        constraints = (
            models.UniqueConstraint(fields=["integration_id", "connection_id"], name="tombstone_of_one_address"),
        )

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.connection_id}"


class ConnectLink(models.Model):
    """A page of ours by which one person, and nobody else, goes on to Nango's page for connecting an account.

    Whoever has Nango's own link attaches what they connect to the person that it was made for, so it is sealed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    sealed_link = SealedField()
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    # The tool that asked: when its token or its key ends, so does the link. A tool may have neither here.
    asked_with = models.ForeignKey(AccessToken, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    asked_with_key = models.ForeignKey(APIKey, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    integration_id = models.CharField(max_length=LONGEST_ID)
    # The connection to be renewed, "" for a new one.
    connection_id = models.CharField(max_length=LONGEST_ID, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.integration_id} for {self.owner_id}"

    @property
    def tool(self) -> str:
        """What to call the tool that asked."""
        if self.asked_with is not None:
            return self.asked_with.label
        return f"The API key {self.asked_with_key.name}" if self.asked_with_key is not None else "A tool of yours"


class StrangeConnection(models.Model):
    """A connection at Nango that this server can't use, for operators: with ids that no route finds, say.

    Only Nango's dashboard or its database can do something about it.
    """

    id = models.BigAutoField(primary_key=True)
    integration_id = models.CharField(max_length=LONGEST_ID, blank=True)
    connection_id = models.CharField(max_length=LONGEST_ID, blank=True)
    reason = models.CharField("what is wrong", max_length=100)
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField("last seen at Nango")

    class Meta:
        """Newest first."""

        ordering = ("-first_seen_at", "-pk")
        verbose_name = "connection that can't be used"
        verbose_name_plural = "connections that can't be used"
        constraints = (
            models.UniqueConstraint(fields=["integration_id", "connection_id"], name="strange_connection_is_once"),
        )

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.connection_id}"


class CredentialUse(models.Model):
    """How often a token was handed a connection's credentials within an hour (UTC).

    Ids and labels rather than foreign keys, as in the audit trail, so that a row outlives what it names.
    """

    token_id = models.UUIDField()
    person_id = models.UUIDField()
    person_label = models.CharField(max_length=255)
    organization_id = models.UUIDField()
    integration_id = models.CharField(max_length=LONGEST_ID)
    connection_id = models.CharField(max_length=LONGEST_ID)
    hour = models.DateTimeField()
    count = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        """Newest first."""

        ordering = ("-hour", "-last_at", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=["token_id", "integration_id", "connection_id", "hour"], name="credential_use_once_an_hour"
            ),
        )
        indexes = (models.Index(fields=["hour"]), models.Index(fields=["person_id", "hour"]))

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.connection_id} at {self.hour:%Y-%m-%d %H:00}"
