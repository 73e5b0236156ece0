"""The API of organizations and their members. Its bodies are bare, without the envelope of the CLI's contract."""

import uuid
from collections.abc import Sequence

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.api import schemas
from accounts.current_user import caller_of
from accounts.models import Membership, Organization
from accounts.models.organizations import Role
from accounts.services import members, organizations
from core import pagination
from core.api import Endpoint, json_body, json_response
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated

TAG = "organizations"
READ, ADMIN = Needs("orgs:read"), Needs("orgs:admin")
# No key decides about who belongs to what.
OWN_LOGIN = Needs("orgs:admin", own_login=True)


class OrganizationsView(Endpoint):
    """GET and POST /api/orgs."""

    required_action = {"GET": "orgs.view", "POST": "orgs.create"}

    needs = {"GET": READ, "POST": ADMIN}

    @documented(
        summary="List organizations",
        data=list[schemas.Organization],
        tag=TAG,
        parameters=pagination.PARAMETERS,
        enveloped=False,
        operation_id="api_orgs_list",
    )
    def get(self, request: Request) -> HttpResponse:
        """Give the organizations that the caller belongs to, by their slugs."""
        part = pagination.part_asked_for(request)
        own = organizations.list_memberships(person=caller_of(request), after=part.after, limit=part.to_fetch)
        shown = [_organization(membership.organization) for membership in own[: part.limit]]
        more = len(own) > part.limit
        return pagination.in_parts(request, part, shown, next_after=shown[-1]["slug"] if more else None)

    @documented(
        summary="Make an organization",
        data=schemas.MadeOrganization,
        tag=TAG,
        request=schemas.NewOrganization,
        errors=[409],
        enveloped=False,
        status=201,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make an organization whose owner is the caller. 409: the slug is taken."""
        asked = validated(schemas.NewOrganization, json_body(request, undeclared=True))
        made = organizations.create(
            name=asked.name, slug=asked.slug, tier=asked.tier, region=asked.region, person=caller_of(request)
        )
        return json_response(schemas.MadeOrganization(id=made.pk, slug=made.slug), 201)


class OrganizationView(Endpoint):
    """GET, PATCH and DELETE /api/orgs/{slug}."""

    required_action = {"GET": "orgs.view", "PATCH": "orgs.update", "DELETE": "orgs.delete"}

    needs = {"GET": READ, "PATCH": ADMIN, "DELETE": OWN_LOGIN}

    @documented(summary="See an organization", data=schemas.Organization, tag=TAG, errors=[404], enveloped=False)
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Tell of an organization, to its members."""
        return json_response(_organization(_own(request, slug).organization))

    @documented(
        summary="Rename an organization",
        data=schemas.Organization,
        tag=TAG,
        request=schemas.RenamedOrganization,
        errors=[404],
        enveloped=False,
    )
    def patch(self, request: Request, slug: str) -> HttpResponse:
        """Give an organization another name, for its owners. The slug stays."""
        asked = validated(schemas.RenamedOrganization, json_body(request, undeclared=True))
        renamed = organizations.rename(slug=slug, name=asked.name, person=caller_of(request))
        return json_response(_organization(renamed))

    @documented(summary="Delete an organization", data=schemas.Done, tag=TAG, errors=[404, 409], enveloped=False)
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Delete an organization that has nothing in it, for its owners. 409: something is in it."""
        organizations.delete(slug=slug, person=caller_of(request))
        return json_response(schemas.Done(status="deleted"))


class MembersView(Endpoint):
    """GET /api/orgs/{slug}/members."""

    required_action = "orgs.view"

    needs = {"GET": READ}

    @documented(
        summary="List the members of an organization",
        data=list[schemas.OrganizationMember],
        tag=TAG,
        parameters=pagination.PARAMETERS,
        errors=[404],
        enveloped=False,
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Give the members, in the order in which they came; to members."""
        part = pagination.part_asked_for(request)
        after = pagination.number_after(part)
        found = members.list_members(organization=_own(request, slug).organization, after=after, limit=part.to_fetch)
        shown: Sequence[Membership] = found[: part.limit]
        more = len(found) > part.limit
        return pagination.in_parts(
            request, part, [_member(one) for one in shown], next_after=shown[-1].pk if more else None
        )


class MemberView(Endpoint):
    """PATCH and DELETE /api/orgs/{slug}/members/{user_id}."""

    required_action = "orgs.manage-members"

    needs = {"PATCH": OWN_LOGIN, "DELETE": OWN_LOGIN}

    @documented(
        summary="Change a member's role",
        data=schemas.OrganizationMember,
        tag=TAG,
        request=schemas.ChangedRole,
        errors=[404, 409],
        enveloped=False,
    )
    def patch(self, request: Request, slug: str, user_id: uuid.UUID) -> HttpResponse:
        """Make a member an owner, an admin or a member; owners all of it, admins among those who are no owners."""
        asked = validated(schemas.ChangedRole, json_body(request, undeclared=True))
        changed = members.change_role(
            slug=slug, user_id=user_id, role=Role(asked.role), person=caller_of(request), now=timezone.now()
        )
        return json_response(_member(changed))

    @documented(
        summary="Remove a member from an organization",
        data=schemas.Done,
        tag=TAG,
        errors=[404, 409],
        enveloped=False,
    )
    def delete(self, request: Request, slug: str, user_id: uuid.UUID) -> HttpResponse:
        """Take somebody's membership away, with their tokens for the organization; admins no owner's."""
        members.remove(slug=slug, user_id=user_id, person=caller_of(request), now=timezone.now())
        return json_response(schemas.Done(status="removed"))


class LeaveView(Endpoint):
    """POST /api/orgs/{slug}/leave."""

    required_action = "orgs.leave"

    needs = {"POST": OWN_LOGIN}

    @documented(
        summary="Leave an organization", data=schemas.Done, tag=TAG, request=None, errors=[404, 409], enveloped=False
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """End the caller's own membership. 409: they are its last owner, or it is their personal one."""
        members.leave(slug=slug, person=caller_of(request), now=timezone.now())
        return json_response(schemas.Done(status="left"))


class TransferView(Endpoint):
    """POST /api/orgs/{slug}/transfer."""

    required_action = "orgs.transfer"

    needs = {"POST": OWN_LOGIN}

    @documented(
        summary="Transfer an organization",
        data=schemas.OrganizationMember,
        tag=TAG,
        request=schemas.NewOwner,
        errors=[404, 409],
        enveloped=False,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Make another member an owner in the caller's place, who stays as an admin; gives the new owner."""
        asked = validated(schemas.NewOwner, json_body(request, undeclared=True))
        owner = members.transfer(slug=slug, user_id=asked.user_id, person=caller_of(request), now=timezone.now())
        return json_response(_member(owner))


def _own(request: Request, slug: str) -> Membership:
    return organizations.membership_in(slug=slug, person=caller_of(request))


def _organization(organization: Organization) -> schemas.Organization:
    return {
        "id": organization.pk,
        "name": organization.name,
        "slug": organization.slug,
        "tier": organization.tier,
        "region": organization.region or None,
        "createdAt": organization.created_at,
    }


def _member(member: Membership) -> schemas.OrganizationMember:
    return {
        "userId": member.user_id,
        "login": member.user.get_short_name(),
        "name": member.user.name,
        "role": member.role,
        "joinedAt": member.created_at,
    }
