"""The accounts tables, one module per subject."""

from accounts.models.audit import AuditEvent
from accounts.models.organizations import Membership, Organization
from accounts.models.people import User
from accounts.models.tokens import AccessToken, CLILogin

__all__ = ["AccessToken", "AuditEvent", "CLILogin", "Membership", "Organization", "User"]
