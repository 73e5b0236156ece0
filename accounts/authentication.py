"""Bearer credentials (RFC 6750) for DRF."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.authenticators import HTTP, authenticate
from accounts.oauth import metadata
from accounts.principals import Principal
from core.errors import Unauthenticated
from core.request_context import note_caller


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token or key>`, by the chain for HTTP.

    The scheme's name may be in any case (RFC 7235, section 2.1).
    """

    def authenticate(self, request: Request) -> tuple[Principal, str] | None:
        """Whoever calls, and the kind of proof; None when no credential was sent at all."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated
        principal = authenticate(HTTP, token.strip(), now=timezone.now())
        note_caller(principal.id)
        return principal, principal.proof

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401; it says so when a token was sent and is no good."""
        return metadata.challenge(invalid="HTTP_AUTHORIZATION" in request.META)
