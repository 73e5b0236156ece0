"""Whether a request to a service beside this server is let through: asked by the proxy in front of it.

One decision for every kind of proxy. It is made from the credential alone: nothing else that the client sent is looked
at, so that no `X-Auth-*` header of theirs can count. Browsers' cookies don't count either (ADR 0021).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from accounts.authenticators import FORWARD, authenticate
from accounts.bearer import InvalidToken
from accounts.principals import Principal
from core.errors import ApplicationError, Forbidden, Unauthenticated
from core.needs import OutsideOfScope
from core.request_context import note_address, note_caller


class OtherOrganization(Forbidden):
    """403: the credential is for another organization than the service; one that isn't there looks the same."""

    default = "This credential is not for the organization that this service belongs to."


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a service wants of whoever it lets in, beyond a credential that works.

    `scopes`: names of `accounts.principals.SCOPES`, all of which the credential must leave in. `organization`: the id
    or the slug of the one that it must be for; "" for any.
    """

    scopes: frozenset[str] = frozenset()
    organization: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Let in (200) as `principal`, or turned away (401, 403) because of `refusal`: one of the two is there."""

    principal: Principal | None = None
    refusal: ApplicationError | None = None

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return int(HTTPStatus.OK) if self.refusal is None else self.refusal.status

    def require(self) -> Principal:
        """Whoever was let in. Raises the refusal."""
        if self.principal is None:
            raise self.refusal or Unauthenticated
        return self.principal

    @property
    def headers(self) -> dict[str, str]:
        """What the proxy tells the service of who was let in; nothing of whoever wasn't."""
        if self.principal is None:
            return {}
        return {
            "X-Auth-Subject": str(self.principal.id),
            "X-Auth-Org": str(self.principal.organization_id),
            "X-Auth-Role": self.principal.role,
            "X-Auth-Type": str(self.principal.kind),
        }


_ANYBODY = Demand()


def decide(*, authorization: str, address: str, now: datetime, demand: Demand = _ANYBODY) -> Decision:
    """Whether the holder of the credential in an `Authorization` header is let in, who asks from this address.

    Two queries at most: the second one writes down, once a minute, that the credential was used. Whatever isn't a clear
    yes is a no; raises Unavailable (503) or the database's errors where it can't be told.
    """
    note_address(address)
    try:
        principal = _holder(authorization, now)
        _meet(demand, principal)
    except (Unauthenticated, Forbidden) as refusal:
        return Decision(refusal=refusal)
    return Decision(principal=principal)


def _holder(authorization: str, now: datetime) -> Principal:
    """Whose credential it is (RFC 6750, section 2.1). Raises Unauthenticated or Forbidden."""
    if not authorization:
        raise Unauthenticated
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise InvalidToken
    principal = authenticate(FORWARD, credential.strip(), now=now)
    note_caller(principal.id)
    return principal


def _meet(demand: Demand, principal: Principal) -> None:
    """Raise OtherOrganization or OutsideOfScope unless the principal meets what the service demands."""
    if demand.organization and not _is_of(demand.organization, principal):
        raise OtherOrganization
    for scope in sorted(demand.scopes):
        if not principal.may(scope):
            raise OutsideOfScope(scope)


def _is_of(wanted: str, principal: Principal) -> bool:
    """Whether it is for this one. What looks like an id is one, so that no slug passes for another's id."""
    try:
        return uuid.UUID(wanted) == principal.organization_id
    except ValueError:
        return wanted == principal.organization_slug
