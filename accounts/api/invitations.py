"""The API of invitations: an organization's, for its owners and admins, and those that wait for the caller."""

import uuid

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.api import schemas
from accounts.api.organizations import OWN_LOGIN, READ, TAG
from accounts.current_user import caller_of
from accounts.models import Invitation
from accounts.models.organizations import Role
from accounts.services import invitations, organizations
from core.api import Endpoint, json_body, json_response
from core.openapi import documented
from core.schemas import validated


class OrganizationInvitationsView(Endpoint):
    """GET and POST /api/orgs/{slug}/invitations."""

    required_action = {"GET": "orgs.view", "POST": "orgs.manage-members"}

    needs = {"GET": READ, "POST": OWN_LOGIN}

    @documented(
        summary="List an organization's invitations",
        data=list[schemas.Invitation],
        tag=TAG,
        errors=[404],
        enveloped=False,
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Give the invitations that wait, newest first, 100 at most; to owners and admins."""
        own = organizations.membership_in(slug=slug, person=caller_of(request))
        organizations.require(own, Role.ADMIN)
        waiting = invitations.of_organization(organization=own.organization, now=timezone.now())
        return json_response([_invitation(one) for one in waiting])

    @documented(
        summary="Invite somebody to an organization",
        data=schemas.MadeInvitation,
        tag=TAG,
        request=schemas.NewInvitation,
        errors=[404, 409],
        enveloped=False,
        status=201,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Invite whoever has an e-mail address, for seven days; for owners and admins, as an owner for owners only.

        They are a member once they have accepted, signed in with that address. Where no mail was sent, the answer has
        the link to pass on, this once.
        """
        asked = validated(schemas.NewInvitation, json_body(request, undeclared=True))
        made = invitations.invite(
            slug=slug, email=asked.email, role=Role(asked.role), person=caller_of(request), now=timezone.now()
        )
        answer = schemas.MadeInvitation(
            id=made.invitation.pk, expiresAt=made.invitation.expires_at, mailed=made.is_mailed
        )
        if not made.is_mailed:
            answer["link"] = made.link
        return json_response(answer, 201)


class OrganizationInvitationView(Endpoint):
    """DELETE /api/orgs/{slug}/invitations/{invitation_id}."""

    required_action = "orgs.manage-members"

    needs = {"DELETE": OWN_LOGIN}

    @documented(summary="Withdraw an invitation", data=schemas.Done, tag=TAG, errors=[404], enveloped=False)
    def delete(self, request: Request, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
        """Take back an invitation that nobody has decided about; for owners and admins."""
        invitations.withdraw(slug=slug, invitation_id=invitation_id, person=caller_of(request), now=timezone.now())
        return json_response(schemas.Done(status="withdrawn"))


class InvitationsView(Endpoint):
    """GET /api/invitations."""

    required_action = "invitations.view"

    needs = {"GET": READ}

    @documented(
        summary="List the caller's invitations", data=list[schemas.ReceivedInvitation], tag=TAG, enveloped=False
    )
    def get(self, request: Request) -> HttpResponse:
        """Give what waits for the caller: made to the verified e-mail address that they sign in with, newest first."""
        waiting = invitations.received(person=caller_of(request), now=timezone.now())
        return json_response([_received(one) for one in waiting])


class AcceptView(Endpoint):
    """POST /api/invitations/{invitation_id}/accept."""

    required_action = "invitations.answer"

    needs = {"POST": OWN_LOGIN}

    @documented(
        summary="Accept an invitation",
        data=schemas.AcceptedInvitation,
        tag=TAG,
        request=None,
        errors=[404],
        enveloped=False,
    )
    def post(self, request: Request, invitation_id: uuid.UUID) -> HttpResponse:
        """Become a member, as an invitation to the caller says."""
        member = invitations.accept(invitation_id=invitation_id, person=caller_of(request), now=timezone.now())
        return json_response(schemas.AcceptedInvitation(organization=member.organization.slug, role=member.role))


class DeclineView(Endpoint):
    """POST /api/invitations/{invitation_id}/decline."""

    required_action = "invitations.answer"

    needs = {"POST": OWN_LOGIN}

    @documented(
        summary="Decline an invitation",
        data=schemas.Done,
        tag=TAG,
        request=None,
        errors=[404],
        enveloped=False,
    )
    def post(self, request: Request, invitation_id: uuid.UUID) -> HttpResponse:
        """Refuse an invitation to the caller."""
        invitations.decline(invitation_id=invitation_id, person=caller_of(request), now=timezone.now())
        return json_response(schemas.Done(status="declined"))


def _invitation(invitation: Invitation) -> schemas.Invitation:
    return {
        "id": invitation.pk,
        "email": invitation.email,
        "role": invitation.role,
        "invitedBy": invitation.made_by.get_short_name(),
        "invitedAt": invitation.created_at,
        "expiresAt": invitation.expires_at,
    }


def _received(invitation: Invitation) -> schemas.ReceivedInvitation:
    return {
        "id": invitation.pk,
        "organization": {"name": invitation.organization.name, "slug": invitation.organization.slug},
        "role": invitation.role,
        "invitedBy": invitation.made_by.get_short_name(),
        "invitedAt": invitation.created_at,
        "expiresAt": invitation.expires_at,
    }
