"""manage.py check_data_database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from clouddev.clients.data_database import DataDatabase
from core.errors import ApplicationError


class Command(BaseCommand):
    """Run it once after an update from a version that gave the admin what dropped workspaces had left."""

    help = "Look for what a workspace may have written and the data database's admin owns, and say how to remove it."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print each with its statement; end with status 1 when there is any, or when it can't be looked at."""
        try:
            strays = DataDatabase.from_settings().strays()
        except ApplicationError as error:
            raise CommandError(error.sentence) from None
        for stray in strays:
            self.stdout.write(f"{stray}:\n    {stray.removal}")
        if strays:
            raise CommandError(
                f"{len(strays)} found. A workspace may have written them, and they run with their owner's rights. Run"
                " these statements in the databases they name; what you made there yourself, give to a role of its own."
            )
        self.stdout.write("Nothing found.")
