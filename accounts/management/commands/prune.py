"""manage.py prune."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.services.pruning import prune


class Command(BaseCommand):
    """Clears logins, tokens, keys, sessions and invitations that are over; run it daily."""

    help = "Delete CLI logins, access tokens, API keys, browser sessions and invitations that are over. Run it daily."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Prune and say what went."""
        pruned = prune(now=timezone.now())
        self.stdout.write(
            f"Deleted {pruned.logins} CLI logins, {pruned.tokens} access tokens, {pruned.keys} API keys,"
            f" {pruned.sessions} browser sessions and {pruned.invitations} invitations."
        )
