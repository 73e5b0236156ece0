"""manage.py reseal."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.oauth import keys
from clouddev.services.key_rotation import reseal
from core.database import outlast_restarts


class Command(BaseCommand):
    """Run it once all servers and workers know the newest key; then the others can be dropped."""

    help = "Seal workspaces' keys and environments, and the keys that sign tokens, with the newest of ENCRYPTION_KEYS."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seal anew and print what was done, one count a line."""
        counts = reseal()
        for name, count in asdict(counts).items():
            self.stdout.write(f"{name}: {count}")
        resealed, _current, unreadable = outlast_restarts(keys.reseal)
        self.stdout.write(f"signing keys resealed: {resealed}")
        if counts.unreadable:
            raise CommandError("Some values can't be opened with any of the keys; their workspaces must be made anew.")
        if unreadable:
            raise CommandError("A signing key opens with none of the keys: run `rotate-signing-key --at-once` twice.")
