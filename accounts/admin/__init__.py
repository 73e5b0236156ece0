"""The operators' view of people, organizations, access and the audit trail: one module per subject."""

from accounts.admin import api_keys, audit, explain, invitations, issuers, leavers, organizations, tokens, users

__all__ = ["api_keys", "audit", "explain", "invitations", "issuers", "leavers", "organizations", "tokens", "users"]
