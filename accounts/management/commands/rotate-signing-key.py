"""manage.py rotate-signing-key."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.oauth import keys
from core.errors import ApplicationError


class Command(BaseCommand):
    """The next key signs from now, and one after it is published."""

    help = "Let the next key sign tokens, and publish the one after it. What was signed before stays good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One choice: not to wait."""
        parser.add_argument(
            "--at-once",
            action="store_true",
            help="rotate even if the next key was published within the hour, and end every token that was signed "
            "before: for when the private key is no longer safe",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rotate and say which key signs."""
        try:
            kid = keys.rotate(now=timezone.now(), at_once=options["at_once"])
        except ApplicationError as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"{kid} signs tokens from now on.")
