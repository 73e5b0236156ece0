"""The accounts tables, one module per subject."""

from accounts.models.api_keys import APIKey
from accounts.models.audit import AuditEvent
from accounts.models.issuers import IssuerOrganization, IssuerPerson
from accounts.models.leavers import Departure, ListedName, ProviderLook
from accounts.models.logins import Login
from accounts.models.oauth import AuthorizationCode, Consent, OAuthClient, RefreshToken
from accounts.models.organizations import Invitation, Membership, Organization, RetiredSlug
from accounts.models.signing_keys import SigningKey
from accounts.models.tokens import AccessToken, CLILogin
from accounts.models.users import User

__all__ = [
    "APIKey",
    "AccessToken",
    "AuditEvent",
    "AuthorizationCode",
    "CLILogin",
    "Consent",
    "Departure",
    "Invitation",
    "IssuerOrganization",
    "IssuerPerson",
    "ListedName",
    "Login",
    "Membership",
    "OAuthClient",
    "Organization",
    "ProviderLook",
    "RefreshToken",
    "RetiredSlug",
    "SigningKey",
    "User",
]
