"""Who an operator is, for the admin's pages."""

from typing import cast

from django.http import HttpRequest

from accounts.models import User


def operator_of(request: HttpRequest) -> User:
    """Who asks; the admin's site lets only signed-in operators come to its pages."""
    return cast("User", request.user)
