"""Who asks. Pages let only signed-in people in, the admin only operators, and the API only who has a token."""

from typing import cast

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.bearer import Caller
from accounts.models import User


def person_of(request: HttpRequest) -> User:
    """Whose browser asks."""
    return cast("User", request.user)


def caller_of(request: Request) -> Caller:
    """Whose tool asks, and with which token."""
    return cast("Caller", request.user)
