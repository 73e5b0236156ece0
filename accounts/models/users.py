"""People."""

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(Protocol):
    """Somebody: a User, or the Principal of an API request."""

    @property
    def id(self) -> uuid.UUID:
        """The person's id."""


class EpochField(models.BigIntegerField):  # type: ignore[type-arg]  # Django takes no type arguments here
    """A number that only goes up: saving a row that was read a while ago leaves it as it is by now."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001 - Django's signature
        """The value for an INSERT; for an UPDATE the column itself."""
        return super().pre_save(model_instance, add) if add else models.F(self.attname)


class User(AbstractUser):
    """A person who signs in.

    `is_active` is False while they are suspended or waiting for approval: no token and no session
    of theirs works then. `username` is the GitHub login at sign-up and what operators sign in with.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    first_name = None  # type: ignore[assignment]  # Django's documented way to drop a field
    last_name = None  # type: ignore[assignment]
    name = models.CharField(max_length=255, blank=True)
    github_id = models.BigIntegerField(unique=True, null=True, blank=True, editable=False)
    github_login = models.CharField("GitHub login", max_length=100, blank=True, db_index=True)
    waitlisted_at = models.DateTimeField(null=True, blank=True)
    # What is cached of the person's is good in the epoch in which it was asked for; a higher one drops all of it.
    cache_epoch = EpochField(default=0, db_default=0, editable=False)
    # Their access ends with a higher one: what was let in before gets nothing that lasts, no session of before works.
    access_epoch = EpochField(default=0, db_default=0, editable=False)

    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        """Newest first."""

        ordering = ("-date_joined", "-pk")
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = (
            models.CheckConstraint(
                name="user_waits_outside", condition=models.Q(waitlisted_at=None) | models.Q(is_active=False)
            ),
        )

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """What to call the person: name, else GitHub login, else username."""
        return self.name or self.github_login or self.username

    def get_full_name(self) -> str:
        """The person's name, for Django's admin."""
        return self.display_name

    def get_short_name(self) -> str:
        """The person's login, for Django's admin."""
        return self.github_login or self.username

    def get_session_auth_hash(self) -> str:
        """What sessions of now are bound to, one that begins at this moment too: the password and the epoch."""
        return self._in_this_epoch(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same by the keys before this one."""
        return map(self._in_this_epoch, super().get_session_auth_fallback_hash())

    def _in_this_epoch(self, session_hash: str) -> str:
        # Sessions of those whose access never ended stay as Django makes them.
        return f"{session_hash}-{self.access_epoch}" if self.access_epoch else session_hash
