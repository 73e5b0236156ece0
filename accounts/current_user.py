"""Who asks. Pages let only signed-in people in, the admin only operators, and the API only who has a token."""

from typing import cast

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import User
from accounts.principals import Principal


def person_of(request: HttpRequest) -> User:
    """Whose browser asks."""
    return cast("User", request.user)


def caller_of(request: Request) -> Principal:
    """Whose tool asks, and with which token."""
    return cast("Principal", request.user)
