"""manage.py reseal."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.key_rotation import reseal


class Command(BaseCommand):
    """Run it once all servers and workers know the newest key; then the others can be dropped."""

    help = "Seal all that is kept sealed with the newest of ENCRYPTION_KEYS."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seal anew and print what was done, one count a line."""
        counts = reseal()
        for name, count in asdict(counts).items():
            self.stdout.write(f"{name}: {count}")
        if counts.unreadable:
            raise CommandError(
                "Some values can't be opened with any of the keys; the log names them. Workspaces must be made anew; "
                "for a signing key run `rotate-signing-key --at-once` twice."
            )
