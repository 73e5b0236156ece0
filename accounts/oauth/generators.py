"""The tokens of an answer at the token endpoint, as the toolkit asks for them: the access token, then the other."""

from typing import Any

from django.utils import timezone
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError

from accounts.models import Login
from accounts.models.tokens import Client
from accounts.oauth import access_tokens, logins, refresh
from accounts.services.access import AccessEnded
from core.request_context import current_address

_LONGEST_USER_AGENT = 300


def access_token(request: Any) -> str:
    """A JWT of the request's login, which begins here unless it is a refresh.

    The validator has put on the request what was agreed to: `login`, or `agreed` with which one begins.
    """
    now = timezone.now()
    login = getattr(request, "login", None)
    agreed = login or request.agreed
    # Asked first: a refusal is an answer, with which what was written before it would stay.
    role = logins.role_in(agreed.organization, agreed.user.pk)
    if role is None:
        raise InvalidGrantError(request=request)
    if login is None:
        request.login = _begin(request)
    return access_tokens.issue(
        login=request.login,
        role=role,
        client_id=request.client.client_id,
        audience=request.audience,
        scopes=request.scopes,
        now=now,
    )


def refresh_token(request: Any) -> str:
    """The first of a login, or the successor of the one that was brought."""
    if request.grant_type == "refresh_token":
        return refresh.successor(request.refresh_token)
    return refresh.first()


def _begin(request: Any) -> Login:
    agreed = request.agreed
    try:
        return logins.begin(
            approval=logins.Approval(agreed.user.pk, agreed.access_epoch),
            organization=agreed.organization,
            client=request.client,
            scopes=request.scopes,
            resource=agreed.resource or [],
            caller=caller_of(request, hostname=getattr(agreed, "hostname", "")),
            now=timezone.now(),
        )
    except AccessEnded as error:
        raise InvalidGrantError(request=request) from error


def caller_of(request: Any, *, hostname: str = "") -> Client:
    """Where a request of the toolkit's came from."""
    agent = str(request.headers.get("HTTP_USER_AGENT", "")).replace("\0", "")[:_LONGEST_USER_AGENT]
    return Login(hostname=hostname, address=current_address() or None, user_agent=agent)
