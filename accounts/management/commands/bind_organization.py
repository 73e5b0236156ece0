"""manage.py bind_organization."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.services.configured_organizations import bind_anew
from accounts.trusted_issuers import issuer_name
from core.errors import ApplicationError


class Command(BaseCommand):
    """For an organization that was made here, and for one that the issuer has made anew under the same slug."""

    help = "Let tokens of the issuer that CONFIG_FILE trusts act in an organization that is here already."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization's slug."""
        parser.add_argument("slug")

    def handle(self, *_args: Any, slug: str, **_options: Any) -> None:
        """Bind it, and say so."""
        try:
            organization = bind_anew(slug=slug, issuer=issuer_name(), now=timezone.now())
        except ApplicationError as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"Tokens of {issuer_name()} may act in {organization.slug} from now on.")
