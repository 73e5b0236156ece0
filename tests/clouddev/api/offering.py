"""Offering machines and deciding about it, and what is there then."""

import pytest

from accounts.models import AuditEvent
from clouddev.models import Member, Offer

PATH, MADE = "/api/cloud-dev/offers", "/api/cloud-dev/offers/made"
OVER_SENTENCE = (
    "There is no such offer for you to decide about: it was accepted, declined or withdrawn, or has expired."
)
NONE = (404, {"error": OVER_SENTENCE})
Kind, Role = Offer.Kind, Member.Role
KINDS = pytest.mark.parametrize("kind", Kind.values)
BEFORE = {"alice": "owner", "bob": "member"}


def decide(api, offer, action="accept"):
    return api.post(f"{PATH}/{offer.pk}/{action}")


def add(api, login, name="studio", **more):
    return api.post("/api/cloud-dev/members", {"appName": name, "login": login, **more})


def transfer(api, login, name="studio"):
    return api.post("/api/cloud-dev/transfer", {"appName": name, "login": login})


def roles(machine):
    return dict(Member.objects.filter(machine=machine).values_list("user__github_login", "role"))


def told(offer, role):
    return {
        "id": str(offer.pk),
        "appName": "studio",
        "kind": offer.kind,
        "role": role,
        "offeredBy": "alice",
        "offeredTo": offer.recipient.github_login,
        "offeredAt": offer.created_at.isoformat(),
        "expiresAt": offer.expires_at.isoformat(),
    }


def trail():
    return list(AuditEvent.objects.order_by("at", "pk").values_list("action", "actor_label", "details"))
