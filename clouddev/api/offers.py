"""The cloud dev API, about workspaces that are offered to somebody who has not accepted yet."""

import uuid

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.current_user import caller_of
from clouddev.api import schemas
from clouddev.api.schemas import TAG
from clouddev.models import Offer
from clouddev.services import offers
from core.api import Endpoint, success
from core.needs import Needs
from core.openapi import documented


class OffersView(Endpoint):
    """GET /api/cloud-dev/offers."""

    required_action = "offers.view"

    needs = {"GET": Needs("workspaces:read")}

    @documented(summary="List what is offered to the caller", data=list[schemas.Offer], tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Tell which workspaces others offer to the caller, newest first."""
        return success([_offer(offer) for offer in offers.received(person=caller_of(request), now=timezone.now())])


class MadeOffersView(Endpoint):
    """GET /api/cloud-dev/offers/made."""

    required_action = "offers.view"

    needs = {"GET": Needs("workspaces:read")}

    @documented(summary="List what waits for others", data=list[schemas.Offer], tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Tell which offers of workspaces that the caller decides about wait for somebody to accept, newest first."""
        return success([_offer(offer) for offer in offers.of_deciders(person=caller_of(request), now=timezone.now())])


class AcceptView(Endpoint):
    """POST /api/cloud-dev/offers/{offer_id}/accept."""

    required_action = "offers.answer"

    needs = {"POST": Needs("workspaces:write")}

    @documented(summary="Accept an offer", data=schemas.AcceptedOffer, tag=TAG, request=None, errors=[404, 409])
    def post(self, request: Request, offer_id: uuid.UUID) -> HttpResponse:
        """Take up what is offered to the caller. What can't be now, for a quota, goes on waiting."""
        offer = offers.accept(offer_id=offer_id, person=caller_of(request), now=timezone.now())
        return success(schemas.AcceptedOffer(status="accepted", appName=offer.machine.app_name, role=offer.role))


class DeclineView(Endpoint):
    """POST /api/cloud-dev/offers/{offer_id}/decline."""

    required_action = "offers.answer"

    needs = {"POST": Needs("workspaces:write")}

    @documented(summary="Decline an offer", data=schemas.DeclinedOffer, tag=TAG, request=None, errors=[404])
    def post(self, request: Request, offer_id: uuid.UUID) -> HttpResponse:
        """Refuse what is offered to the caller."""
        offers.decline(offer_id=offer_id, person=caller_of(request), now=timezone.now())
        return success(schemas.DeclinedOffer(status="declined"))


class WithdrawView(Endpoint):
    """POST /api/cloud-dev/offers/{offer_id}/withdraw."""

    required_action = "workspaces.share"

    needs = {"POST": Needs("workspaces:write")}

    @documented(summary="Withdraw an offer", data=schemas.WithdrawnOffer, tag=TAG, request=None, errors=[404])
    def post(self, request: Request, offer_id: uuid.UUID) -> HttpResponse:
        """Take back an offer of a workspace that the caller decides about."""
        offers.withdraw(offer_id=offer_id, actor=caller_of(request), now=timezone.now())
        return success(schemas.WithdrawnOffer(status="withdrawn"))


def _offer(offer: Offer) -> schemas.Offer:
    return {
        "id": offer.pk,
        "appName": offer.machine.app_name,
        "kind": offer.kind,
        "role": offer.role,
        "offeredBy": offer.made_by.get_short_name(),
        "offeredTo": offer.recipient.get_short_name(),
        "offeredAt": offer.created_at,
        "expiresAt": offer.expires_at,
    }
