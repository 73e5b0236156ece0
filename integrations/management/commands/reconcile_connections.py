"""manage.py reconcile_connections."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import ApplicationError
from integrations.services.reconciliation import reconcile_connections


class Command(BaseCommand):
    """Run it daily, and after Nango was down or webhooks were lost."""

    help = "Bring the record of connections in line with Nango's, and finish deletions."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Reconcile and print what was done, one count a line."""
        try:
            counts = reconcile_connections(now=timezone.now())
        except ApplicationError as error:
            raise CommandError(error.sentence) from error
        for name, count in asdict(counts).items():
            self.stdout.write(f"{name}: {count}")
        if counts.unfinished:
            raise CommandError("Some deletions could not be finished; run this again later.")
