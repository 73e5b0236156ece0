"""Writing the audit trail. Call `record` inside the transaction that makes the change."""

import uuid
from collections.abc import Mapping
from typing import Protocol

from django.utils import timezone

from accounts.models import AuditEvent
from config.core.requests import current_address, current_request_id

_LABEL_LENGTH = 255


class Actor(Protocol):
    """Somebody who does things: a User, or the Caller of an API request."""

    @property
    def id(self) -> uuid.UUID:
        """The person's id."""

    @property
    def display_name(self) -> str:
        """What to call them."""


class Target(Protocol):
    """Something that things are done to: usually a model's instance."""

    @property
    def pk(self) -> object:
        """Its id."""


def record(  # noqa: PLR0913 - an event has this many parts
    action: str,
    *,
    actor: Actor | None,
    target: Target | None = None,
    target_type: str = "",
    target_id: str = "",
    organization_id: uuid.UUID | None = None,
    details: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Add a row: `action` is "subject.past_participle", such as "cli_login.approved".

    Address and request id come from the current request. `details` never holds a secret.
    """
    if target is not None:
        target_type, target_id = type(target).__name__, str(target.pk)
    AuditEvent.objects.create(
        at=timezone.now(),
        action=action,
        actor_id=actor.id if actor else None,
        actor_label=actor.display_name[:_LABEL_LENGTH] if actor else "",
        organization_id=organization_id,
        target_type=target_type,
        target_id=target_id,
        target_label=str(target)[:_LABEL_LENGTH] if target is not None else "",
        address=current_address() or None,
        request_id=current_request_id(),
        details=dict(details or {}),
    )
