"""manage.py cleartokens, in place of the toolkit's command of that name: that one would delete what is in use here."""

from accounts.management.commands.prune import Command

__all__ = ["Command"]
