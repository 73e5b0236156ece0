"""The operators' view of apps and their builds: one module per subject."""

from deployments.admin import apps, builds

__all__ = ["apps", "builds"]
