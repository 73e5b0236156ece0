"""The operators' view of people, organizations, access and the audit trail: one module per subject."""

from accounts.admin import audit, organizations, tokens, users

__all__ = ["audit", "organizations", "tokens", "users"]
