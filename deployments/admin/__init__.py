"""The operators' view of apps, their builds, what is at Fly, and the workers' jobs: one module per subject."""

from deployments.admin import apps, builds, fly, jobs

__all__ = ["apps", "builds", "fly", "jobs"]
