"""Writing the audit trail. Call `record` inside the transaction that makes the change."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Protocol, Required, TypedDict, Unpack

from django.utils import timezone

from accounts.models import AuditEvent, Organization
from core.request_context import current_address, current_decision, current_request_id

_LABEL_LENGTH = 255
_POLICIES_LENGTH = 300
# What may be told of no organization: people, this server itself, and what is at Fly or in the data database and
# nobody's any more.
_OF_NO_ORGANIZATION = frozenset(
    {"browser_session", "cli_login", "database", "fly_app", "operator", "signing_key", "user"}
)


class Actor(Protocol):
    """Somebody who does things: a User, or the Principal of an API request."""

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


class Parts(TypedDict, total=False):
    """What an event says besides its action; only the actor has to be told.

    A target that has an `organization_id` says whose it is; otherwise it is to be told beside it.
    """

    actor: Required[Actor | None]
    target: Target | None
    target_type: str
    target_id: str
    organization_id: uuid.UUID | None
    details: Mapping[str, str | int | bool | None]


def record(action: str, **parts: Unpack[Parts]) -> None:
    """Add a row: `action` is "subject.past_participle", such as "cli_login.approved".

    Address, request id and the policies that allowed it come from the current request. `details` never holds a secret.
    Raises TypeError where an action that is always about something of an organization's is told without one.
    """
    _event(action, parts).save(force_insert=True)


def record_each(action: str, things: Iterable[Parts]) -> None:
    """Add a row for each of many things that were done at once, by one statement."""
    AuditEvent.objects.bulk_create([_event(action, parts) for parts in things])


def _event(action: str, parts: Parts) -> AuditEvent:
    actor, target = parts["actor"], parts.get("target")
    target_type, target_id = parts.get("target_type", ""), parts.get("target_id", "")
    if target is not None:
        target_type, target_id = type(target).__name__, str(target.pk)
    organization_id = parts.get("organization_id") or _organization_of(target)
    if organization_id is None and action.partition(".")[0] not in _OF_NO_ORGANIZATION:
        raise TypeError(f"{action} is told of no organization")
    return AuditEvent(
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
        details=dict(parts.get("details", {})),
        policies=", ".join(current_decision())[:_POLICIES_LENGTH],
    )


def _organization_of(target: Target | None) -> uuid.UUID | None:
    """The organization that the target is, or belongs to, as far as it says so itself."""
    found: uuid.UUID | None = (
        target.pk if isinstance(target, Organization) else getattr(target, "organization_id", None)
    )
    return found
