"""A key without a browser: for tools, such as clients of MCP, whose person has no account at GitHub."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User
from accounts.services import api_keys, users
from core.crypto import random_hex
from core.errors import Forbidden
from core.network_limits import NetworkLimit, SharedLimit
from core.rate_limits import RateLimit

REGISTRATIONS = NetworkLimit("registrations", 10, "hour")
REGISTRATIONS_OF_ALL = RateLimit("registrations-of-all", "300/hour")
# What costs nothing here: nobody knows whose key it is, so it makes neither apps nor workspaces.
SCOPES = frozenset({"connections:read", "connections:use", "connections:write", "tools:use"})
_KEY_NAME = "Registered without a browser"


class RegistrationIsOff(Forbidden):
    """403: this server lets people in by signing in only."""

    default = "This server gives no keys to strangers. Sign in with a browser, and make a key on its page of API keys."


@dataclass(frozen=True, slots=True)
class Registered:
    """A new person, and their key, which nothing keeps."""

    user_id: uuid.UUID
    key: api_keys.MadeKey


def register(*, name: str, address: str, now: datetime) -> Registered:
    """A person of that name who has nothing but a key. Raises RegistrationIsOff or TooManyRequests."""
    if not settings.REGISTRATION:
        raise RegistrationIsOff
    SharedLimit(REGISTRATIONS, REGISTRATIONS_OF_ALL).spend(address)
    wanted = api_keys.WantedKey(name=_KEY_NAME, days=api_keys.MOST_DAYS, scopes=SCOPES)
    with transaction.atomic():
        # Without a password: nobody signs in as them.
        user = User.objects.create_user(username=f"key-{random_hex(8)}", name=name)
        organization = users.ensure_personal_organization(user=user)
        audit.record("user.registered", actor=user, target=user, organization_id=organization.pk)
        key = api_keys.issue(by=user, organization_id=organization.pk, wanted=wanted, now=now)
    return Registered(user.pk, key)
