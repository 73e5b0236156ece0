"""API keys of each kind, and in each of the states in which they are no good."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from accounts import key_format, static_keys
from accounts.models import APIKey, Membership, Organization, User
from accounts.services import api_keys

STATIC = "visibly-fake-static-key-of-a-service"


def personal(person: User, **wanted: Any) -> api_keys.MadeKey:
    """A key of the person for their own organization."""
    fresh = User.objects.get(pk=person.pk)
    return api_keys.issue(
        by=fresh,
        organization_id=fresh.personal_organization.pk,
        wanted=api_keys.WantedKey(name="CI", **wanted),
        now=timezone.now(),
    )


def of_worker(person: User, **wanted: Any) -> api_keys.MadeKey:
    """A key of a worker of the person's own organization."""
    fresh = User.objects.get(pk=person.pk)
    return api_keys.make_for_worker(
        by=fresh,
        slug=fresh.personal_organization.slug,
        wanted=api_keys.WantedKey(name="worker-1", **{"days": None, **wanted}),
        now=timezone.now(),
    )


def configure(settings: Any, organization: Organization, **entry: Any) -> str:
    """A configured key in this organization."""
    whole = {
        "key": STATIC, "org_id": str(organization.pk), "principal_type": "Service", "principal_id": "billing",
        "role": "MEMBER", **entry,
    }  # fmt: skip
    settings.STATIC_API_KEYS = static_keys.parse([whole], source="test")
    return str(whole["key"])


def mistyped(key: str) -> str:
    """The key with one character wrong in its middle."""
    at = len(key) // 2
    return key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]


def _unknown(key: str, _person: User) -> str:
    return key_format.new(key[: len(key_format.PERSONAL)])


def _revoked(key: str, _person: User) -> str:
    APIKey.objects.update(revoked_at=timezone.now())
    return key


def _expired(key: str, _person: User) -> str:
    APIKey.objects.update(expires_at=timezone.now())
    return key


def _suspended_organization(key: str, person: User) -> str:
    Organization.objects.filter(personal_for=person).update(suspended_at=timezone.now())
    return key


def _suspended(key: str, person: User) -> str:
    User.objects.filter(pk=person.pk).update(is_active=False)
    return key


def _waiting(key: str, person: User) -> str:
    User.objects.filter(pk=person.pk).update(is_active=False, waitlisted_at=timezone.now())
    return key


def _left(key: str, person: User) -> str:
    Membership.objects.filter(user=person).delete()
    return key


def _elsewhere(key: str, _person: User) -> str:
    APIKey.objects.update(networks=["192.0.2.0/24"])
    return key


# What makes a key no good, by name: gives what is presented instead of it.
NO_GOOD: dict[str, Callable[[str, User], str]] = {
    "mistyped": lambda key, _person: mistyped(key),
    "cut off": lambda key, _person: key[:-1],
    "too long": lambda key, _person: f"{key}0",
    "unknown": _unknown,
    "revoked": _revoked,
    "expired": _expired,
    "elsewhere": _elsewhere,
    "of a suspended organization": _suspended_organization,
}
NO_GOOD_OF_PEOPLE = {**NO_GOOD, "suspended": _suspended, "waiting": _waiting, "left": _left}
UNAUTHENTICATED = {"mistyped", "cut off", "too long", "unknown", "revoked", "expired"}


def asked_from(address: str, path: str, key: str) -> Any:
    """GET from this address."""
    return Client(raise_request_exception=False, REMOTE_ADDR=address).get(
        path, headers={"Authorization": f"Bearer {key}"}
    )


def soon(**later: int) -> Any:
    """A moment from now."""
    return timezone.now() + timedelta(**later)
