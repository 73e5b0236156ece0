"""The operators' view of people, organizations, access and the audit trail: one module per subject."""

from accounts.admin import audit, explain, organizations, tokens, users

__all__ = ["audit", "explain", "organizations", "tokens", "users"]
