"""Who may do what: Cedar policies, the actions that they speak of, and the one function that decides."""

from accounts.policies.asking import THE_SERVER, Acting, Resource
from accounts.policies.engine import Denied, Undecided, decide, require
from accounts.policies.loading import Decision

__all__ = ["THE_SERVER", "Acting", "Decision", "Denied", "Resource", "Undecided", "decide", "require"]
