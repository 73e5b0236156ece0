"""manage.py check_leavers."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.services import leavers


class Command(BaseCommand):
    """Looks for people who no longer fit the sign-up policy, as a worker does every hour."""

    help = "Ask the sign-up policy about everybody: who no longer fits is shut out, who does again is let in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --dry-run and --more-than-half."""
        parser.add_argument("--dry-run", action="store_true", help="Say who it would be, and change nothing.")
        parser.add_argument(
            "--more-than-half", action="store_true", help="Go on although more than half of the people would be out."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, and say what was found and done. Ends with status 1 where nobody could be asked about, or too many."""
        found = leavers.look(now=timezone.now(), dry_run=options["dry_run"], more_than_half=options["more_than_half"])
        for login in found.leavers:
            self.stdout.write(f"no longer fits: {login}")
        for login in found.returning:
            self.stdout.write(f"fits again: {login}")
        self.stdout.write(
            f"Asked about {found.asked} people with {found.calls} calls: {found.suspended} shut out, "
            f"{found.waiting} wait for another look, {found.restored} let in again, {found.unknown} could not be asked."
        )
        if found.problem:
            raise CommandError(found.problem)
