"""Clients that this server knows by itself."""

from accounts.models import OAuthClient
from accounts.models.oauth import GRANT_TYPES

OWN_TOOL = "crayon-cli"


def ensure_own() -> None:
    """Make the client of our own command-line tool where there is none; what an operator has changed stays."""
    OAuthClient.objects.get_or_create(
        client_id=OWN_TOOL,
        defaults={
            "name": "crayon CLI",
            "client_type": OAuthClient.CLIENT_PUBLIC,
            "authorization_grant_type": OAuthClient.GRANT_AUTHORIZATION_CODE,
            "grant_types": list(GRANT_TYPES),
            "redirect_uris": "http://127.0.0.1/callback http://[::1]/callback",
            "client_secret": "",
            "is_verified": True,
        },
    )
