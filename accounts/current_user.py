"""Who asks. Pages let only signed-in people in, the admin only operators, and the API only who has a token."""

from typing import cast

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import Organization, User
from accounts.principals import Principal
from accounts.services import users

# In the session: the id of the organization that the person works in. Without it, their personal one.
_ACTIVE = "organization"


def person_of(request: HttpRequest) -> User:
    """Whose browser asks."""
    return cast("User", request.user)


def caller_of(request: Request) -> Principal:
    """Whose tool asks, and with which token."""
    return cast("Principal", request.user)


def organization_of(request: HttpRequest) -> Organization:
    """The organization that the browser's person works in: the one they switched to, else their personal one.

    The personal one too where they are no member of the other any more, or it is suspended. One query, or two.
    """
    person, chosen = person_of(request), request.session.get(_ACTIVE)
    if chosen is not None:
        open_ones = Organization.objects.for_member(person).filter(pk=chosen, suspended_at=None)
        if (organization := open_ones.first()) is not None:
            return organization
    return users.ensure_personal_organization(user=person)


def work_in(request: HttpRequest, organization: Organization) -> None:
    """Let the browser's person work in this organization of theirs from now on."""
    if organization.personal_for_id == person_of(request).pk:
        request.session.pop(_ACTIVE, None)
    else:
        request.session[_ACTIVE] = str(organization.pk)
