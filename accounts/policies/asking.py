"""What a question to the policies consists of, and its form in Cedar's JSON.

A question is put from what a principal and a row already hold; nothing is read from the database here. It is a value:
the same question has the same answer as long as the policies are the same.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import orjson

from accounts.models import User
from accounts.policies.actions import SERVER, Action
from accounts.principals import Kind, Proof

_TYPES = {
    Kind.USER: "User",
    Kind.WORKER: "Worker",
    Kind.SERVICE: "Service",
    Kind.MACHINE: "Machine",
    Kind.WORKLOAD: "Workload",
    Kind.AGENT: "Agent",
}
_ROLES = ("owner", "admin", "member")


class InOrganization(Protocol):
    """Somebody who was let in with a credential for one organization: a Principal."""

    @property
    def id(self) -> uuid.UUID:
        """Who it is."""

    @property
    def organization_id(self) -> uuid.UUID:
        """What the credential is for."""

    @property
    def role(self) -> str:
        """What they are there."""


Acting = User | InOrganization


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks, and with what. Without an organization it is a person in their browser, wherever they belong."""

    id: uuid.UUID
    kind: Kind = Kind.USER
    proof: str = Proof.SESSION
    organization_id: uuid.UUID | None = None
    is_organization_suspended: bool = False
    role: str = ""
    scopes: frozenset[str] | None = None
    is_active: bool = True
    is_operator: bool = False
    is_superuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What it is done to: a type of `schema.cedarschema`, and what its row says.

    `role` is what whoever asks is of the thing itself: "owner" or "member" of a workspace, or a role in an
    organization. `is_suspended` is about the organization, `is_operator` about a person.
    """

    type: str
    id: object
    organization_id: uuid.UUID | None = None
    maker_id: uuid.UUID | None = None
    role: str = ""
    is_shared: bool = False
    is_suspended: bool = False
    is_operator: bool = False


THE_SERVER: Final = Resource(type=SERVER, id="this")


def subject_of(by: Acting) -> Subject:
    """The subject of a question that somebody asks who was let in."""
    if isinstance(by, User):
        return Subject(
            id=by.pk,
            is_active=by.is_active,
            is_operator=by.is_staff,
            is_superuser=by.is_superuser,
        )
    scopes = getattr(by, "scopes", None)
    return Subject(
        id=by.id,
        kind=getattr(by, "kind", Kind.USER),
        proof=getattr(by, "proof", Proof.ACCESS_TOKEN),
        organization_id=by.organization_id,
        role=by.role,
        # Whatever kind of set it is: a question has to be hashable.
        scopes=None if scopes is None else frozenset(scopes),
    )


def request_of(subject: Subject, action: Action, resource: Resource, address: str) -> dict[str, Any]:
    """The question itself, for `cedarpy.is_authorized`."""
    context: dict[str, Any] = {"proof": str(subject.proof)}
    if subject.organization_id is not None:
        context["org"] = _reference("Org", subject.organization_id)
    if subject.scopes is not None:
        context["scopes"] = sorted(subject.scopes)
    if action.scope is not None:
        context["needs"] = action.scope
    if address:
        context["address"] = {"__extn": {"fn": "ip", "arg": address}}
    return {
        "principal": _uid(_TYPES[subject.kind], subject.id),
        "action": _uid("Action", action.name),
        "resource": _uid(resource.type, resource.id),
        "context": orjson.dumps(context).decode(),
    }


def entities_of(subject: Subject, resource: Resource) -> str:
    """All that is known of who asks and of what it is about, as Cedar's JSON."""
    organizations: dict[uuid.UUID, bool] = {}
    if subject.organization_id is not None:
        organizations[subject.organization_id] = subject.is_organization_suspended
    of_resource = uuid.UUID(str(resource.id)) if resource.type == "Org" else resource.organization_id
    if of_resource is not None:
        organizations[of_resource] = organizations.get(of_resource, False) or resource.is_suspended
    roles = _roles(subject, resource)
    entities = [_subject(subject, roles)]
    if (resource.type, str(resource.id)) != (_TYPES[subject.kind], str(subject.id)):
        entities += _resource(subject, resource)
    entities += [_organization(key, is_suspended=is_suspended) for key, is_suspended in organizations.items()]
    # Once each: an owner of two organizations is at the end of two chains, one of the same organization of one.
    known = {entity["uid"]["id"]: entity for key, role in roles for entity in _chain(key, role)}
    return orjson.dumps([*entities, *known.values()]).decode()


def _roles(subject: Subject, resource: Resource) -> list[tuple[uuid.UUID, str]]:
    """In which organizations the subject is what: where their credential is for, and in the one that it is about."""
    roles: dict[tuple[uuid.UUID, str], None] = {}
    if subject.role and subject.organization_id is not None:
        roles[subject.organization_id, subject.role] = None
    if resource.type == "Org" and resource.role:
        roles[uuid.UUID(str(resource.id)), resource.role] = None
    return list(roles)


def _subject(subject: Subject, roles: list[tuple[uuid.UUID, str]]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if subject.kind == Kind.USER:
        attributes = {
            "active": subject.is_active,
            "operator": subject.is_operator,
            "superuser": subject.is_superuser,
        }
    parents = [_uid("Role", f"{organization_id}/{role}") for organization_id, role in roles]
    return _entity(_uid(_TYPES[subject.kind], subject.id), attributes, parents)


def _resource(subject: Subject, resource: Resource) -> list[dict[str, Any]]:
    """The thing itself; an organization comes with those that the question names anyway."""
    attributes: dict[str, Any] = {}
    match resource.type:
        case "Org":
            return []
        case "User":
            attributes = {"active": True, "operator": resource.is_operator, "superuser": resource.is_operator}
        case "Deployment":
            attributes = _owned(resource)
        case "Workspace":
            asker = [_reference("User", subject.id)] if subject.kind == Kind.USER else []
            attributes = _owned(resource) | {
                "owners": asker if resource.role == "owner" else [],
                "members": asker if resource.role == "member" else [],
            }
        case "Connection" | "Tool":
            attributes = _owned(resource) | {"shared": resource.is_shared}
        case "ApiKey" | "Login":
            attributes = {"maker": _reference("User", resource.maker_id)}
    return [_entity(_uid(resource.type, resource.id), attributes, [])]


def _owned(resource: Resource) -> dict[str, Any]:
    attributes = {"org": _reference("Org", resource.organization_id)}
    if resource.maker_id is not None:
        attributes["maker"] = _reference("User", resource.maker_id)
    return attributes


def _organization(organization_id: uuid.UUID, *, is_suspended: bool) -> dict[str, Any]:
    """The organization, with the names of its roles."""
    attributes: dict[str, Any] = {
        f"{name}s": _reference("Role", f"{organization_id}/{name}") for name in (*_ROLES, "worker")
    }
    attributes["suspended"] = is_suspended
    return _entity(_uid("Org", organization_id), attributes, [])


def _chain(organization_id: uuid.UUID, role: str) -> Iterator[dict[str, Any]]:
    """That each owner is an admin, and each admin a member, as far as it concerns who has this role."""
    for higher, lower in pairwise(_ROLES[_ROLES.index(role) :] if role in _ROLES else ()):
        of_higher, of_lower = (_uid("Role", f"{organization_id}/{name}") for name in (higher, lower))
        yield _entity(of_higher, {}, [of_lower])


def _entity(uid: dict[str, str], attributes: dict[str, Any], parents: list[dict[str, str]]) -> dict[str, Any]:
    return {"uid": uid, "attrs": attributes, "parents": parents}


def _uid(type_name: str, identifier: object) -> dict[str, str]:
    return {"type": type_name, "id": str(identifier)}


def _reference(type_name: str, identifier: object) -> dict[str, dict[str, str]]:
    return {"__entity": _uid(type_name, identifier)}
