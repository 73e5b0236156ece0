"""manage.py free_slug."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import retired_slugs
from core.errors import ApplicationError


class Command(BaseCommand):
    """For an organization that is to take over what services beside this server keep by the slug."""

    help = "Let another organization have the slug of one that was deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the slug."""
        parser.add_argument("slug")

    def handle(self, *_args: Any, slug: str, **_options: Any) -> None:
        """Free it, and say so."""
        try:
            retired_slugs.free(slug=slug)
        except ApplicationError as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"{slug} may be taken from now on.")
