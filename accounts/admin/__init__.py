"""The operators' view of people, organizations, access and the audit trail: one module per subject."""

from accounts.admin import access, organizations, people, trail

__all__ = ["access", "organizations", "people", "trail"]
