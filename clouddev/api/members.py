"""The cloud dev API, about who may use a workspace and whose it is."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.current_user import caller_of
from clouddev.api import schemas
from clouddev.api.schemas import APP_NAME, TAG, app_name_of
from clouddev.models import Member, Offer
from clouddev.services import members, offers
from clouddev.services.access import machine_of_member, machine_of_owner, own_machine
from core.api import Endpoint, json_body, query, success
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated


class MembersView(Endpoint):
    """GET, POST and DELETE /api/cloud-dev/members."""

    required_action = {"GET": "workspaces.view", "POST": "workspaces.share", "DELETE": "workspaces.share"}

    needs = {
        "GET": Needs("workspaces:read"),
        "POST": Needs("workspaces:write"),
        "DELETE": Needs("workspaces:write"),
    }

    @documented(
        summary="List the members of a workspace",
        data=list[schemas.Member],
        tag=TAG,
        parameters=[APP_NAME],
        errors=[404],
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell who may use a workspace, owners first; for members."""
        machine = machine_of_member(
            person=caller_of(request), app_name=app_name_of(query(request)), action="workspaces.view"
        )
        return success([_member(member) for member in members.list_members(machine=machine)])

    @documented(
        summary="Offer somebody to be a member of a workspace",
        data=schemas.AddedMember,
        tag=TAG,
        request=schemas.AddMember,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Offer somebody who has signed in here to use a workspace, or change a member's role; for its owners.

        Nobody is a member before they have accepted (`offers`). Until then the answer says `waiting`, and tells
        nothing of the person but their login.
        """
        caller = caller_of(request)
        asked = validated(schemas.AddMember, json_body(request))
        added = members.add_member(
            machine=machine_of_owner(person=caller, app_name=asked.app_name, action="workspaces.share"),
            login=asked.login,
            role=asked.role,
            actor=caller,
            now=timezone.now(),
        )
        return success(_member(added) if isinstance(added, Member) else _asked(added))

    @documented(
        summary="Remove a member from a workspace",
        data=schemas.RemovedMember,
        tag=TAG,
        parameters=[
            OpenApiParameter("appName", str, description="A workspace of the caller's; may be in a JSON body instead."),
            OpenApiParameter("login", str, description="A GitHub login; may be in a JSON body instead."),
        ],
        errors=[404, 409],
    )
    def delete(self, request: Request) -> HttpResponse:
        """Take a person's access away, or the offer of it; for the workspace's owners, and for those who want to leave.

        Workspaces verify tokens by themselves: one that asks which were revoked refuses theirs within a minute.
        """
        caller = caller_of(request)
        asked = validated(schemas.PersonOfMachine, json_body(request) or query(request))
        is_leaving = asked.login.lower() == caller.login.lower()
        find, action = (machine_of_member, "workspaces.leave") if is_leaving else (machine_of_owner, "workspaces.share")
        machine = find(person=caller, app_name=asked.app_name, action=action)
        message = members.remove_member(machine=machine, login=asked.login, actor=caller)
        return success(schemas.RemovedMember(status="removed", message=message))


class TransferView(Endpoint):
    """POST /api/cloud-dev/transfer."""

    required_action = "workspaces.transfer"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Transfer a workspace",
        data=schemas.Transferred,
        tag=TAG,
        request=schemas.PersonOfMachine,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Offer a workspace to somebody else; for its owner, who stays a member. It is theirs once they accept.

        By its name, only the caller's very own workspace is transferred. Who is an owner of somebody else's by role
        transfers it on the workspace's page.
        """
        caller = caller_of(request)
        asked = validated(schemas.PersonOfMachine, json_body(request))
        machine = own_machine(person=caller, app_name=asked.app_name, action="workspaces.transfer")
        offer = members.transfer(machine=machine, login=asked.login, actor=caller, now=timezone.now())
        answer = (
            schemas.Transferred(status="waiting", **_waiting(offer))
            if offer
            else schemas.Transferred(status="transferred")
        )
        return success(answer)


def _member(member: Member) -> schemas.Member:
    return {
        "login": member.user.get_short_name(),
        "name": member.user.name,
        "role": member.role,
        "linuxUser": member.linux_user,
        "addedAt": member.created_at,
    }


def _asked(offer: Offer) -> schemas.AddedMember:
    """A member who is none yet: what existing tools read, and that it waits."""
    return {
        "login": offer.recipient.get_short_name(),
        "name": "",
        "role": offer.role,
        "linuxUser": "",
        "addedAt": offer.created_at,
        "status": "waiting",
        **_waiting(offer),
    }


def _waiting(offer: Offer) -> schemas.Waiting:
    return {
        "message": offers.waits_for_consent(offer),
        "offerId": offer.pk,
        "expiresAt": offer.expires_at,
    }
