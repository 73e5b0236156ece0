"""manage.py sync_organizations."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.services.configured_organizations import synchronize
from accounts.trusted_issuers import issuer_name
from core.errors import ApplicationError


class Command(BaseCommand):
    """Run it where `migrate` is run, after it: with every new version, and after a change of CONFIG_FILE."""

    help = "Make the organizations of CONFIG_FILE, and bring those that are there in line with it. Others stay."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Synchronize, and say how many."""
        try:
            done = synchronize(
                organizations=settings.CONFIGURED_ORGANIZATIONS, issuer=issuer_name(), now=timezone.now()
            )
        except ApplicationError as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"Organizations: {done.made} made, {done.changed} changed, {done.unchanged} unchanged.")
