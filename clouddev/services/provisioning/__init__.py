"""Making and destroying machines, in a worker that may be killed at any line."""

from clouddev.services.provisioning.run import sweep, work

__all__ = ["sweep", "work"]
