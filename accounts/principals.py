"""Who acts: one kind of object for everybody who may, whatever they proved it with."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# What a credential may be narrowed to, and what that means to the person who chooses it.
SCOPES = {
    "connections:read": "see integrations and which accounts are connected",
    "connections:use": "use connected accounts: read their current credentials",
    "connections:write": "connect accounts and disconnect them",
    "deployments:read": "see apps, their builds and logs",
    "deployments:write": "make, push, cancel and remove apps",
    "workspaces:read": "see workspaces",
    "workspaces:write": "make, start, stop, share and destroy workspaces",
    "tools:use": "call tools of connected accounts",
    "orgs:read": "see organizations and their members",
    "orgs:admin": "manage organizations, members and invitations",
}


class Kind(StrEnum):
    """What a principal is."""

    USER = "user"
    WORKER = "worker"
    SERVICE = "service"
    MACHINE = "machine"
    WORKLOAD = "workload"
    AGENT = "agent"


class Proof(StrEnum):
    """What a principal was recognised by."""

    SESSION = "session"
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a kind
    API_KEY = "api_key"
    WORKER_KEY = "worker_key"
    STATIC_KEY = "static_key"
    JWT = "jwt"
    FOREIGN_JWT = "foreign_jwt"


# A token that others verify is in their hands as well, so it makes nothing that lasts longer than itself.
_LOGINS = frozenset({Proof.SESSION, Proof.ACCESS_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who was let in, in one organization, and how.

    `id` is a person's id, or for what is no person that of its key, service or row. `role` is "owner", "admin" or
    "member" for a person and "worker" for a key or service that acts alone. `scopes` is None where nothing is narrowed.
    `credential_id` is the row of the token, key or login; None for a session. Keys have a name of their own, too.
    """

    id: uuid.UUID
    kind: Kind = Kind.USER
    proof: Proof
    credential_id: uuid.UUID | None = None
    credential_name: str = ""
    credential_expires_at: datetime | None = None
    organization_id: uuid.UUID
    organization_slug: str = ""
    role: str
    scopes: frozenset[str] | None = None
    name: str = ""
    login: str = ""
    email: str = ""
    cache_epoch: int = 0
    access_epoch: int = 0

    is_authenticated = True

    @property
    def display_name(self) -> str:
        """What to call them."""
        return self.name or self.login

    @property
    def is_person(self) -> bool:
        """Whether this is a person, or something that a person made to act as themselves."""
        return self.kind == Kind.USER

    @property
    def is_own_login(self) -> bool:
        """Whether a person proved who they are with a login of their own that nothing narrows, and not with a key."""
        return self.is_person and self.scopes is None and self.proof in _LOGINS

    def may(self, scope: str) -> bool:
        """Whether the credential was not narrowed so far that this is left out."""
        return self.scopes is None or scope in self.scopes
