"""manage.py reseal."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from clouddev.services.key_rotation import reseal


class Command(BaseCommand):
    """Run it once all servers and workers know the newest key; then the others can be dropped."""

    help = "Seal workspaces' keys and environments with the newest of ENCRYPTION_KEYS."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seal anew and print what was done, one count a line."""
        counts = reseal()
        for name, count in asdict(counts).items():
            self.stdout.write(f"{name}: {count}")
        if counts.unreadable:
            raise CommandError("Some values can't be opened with any of the keys; their workspaces must be made anew.")
