"""The accounts tables, one module per subject."""

from accounts.models.api_keys import APIKey
from accounts.models.audit import AuditEvent
from accounts.models.issuers import IssuerOrganization, IssuerPerson
from accounts.models.organizations import Membership, Organization
from accounts.models.tokens import AccessToken, CLILogin
from accounts.models.users import User

__all__ = [
    "APIKey",
    "AccessToken",
    "AuditEvent",
    "CLILogin",
    "IssuerOrganization",
    "IssuerPerson",
    "Membership",
    "Organization",
    "User",
]
