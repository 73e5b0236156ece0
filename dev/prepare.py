"""`python -m dev.prepare`: brings the database of `make dev` up to date and makes its operator."""

import os
import secrets

import django
from django.core.management import call_command

from dev.options import Options
from dev.state import write_private


def main() -> None:
    """Migrate, make what CONFIG_FILE lists, and the operator, by whom the admin can be entered, where there is none."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    call_command("migrate", interactive=False)
    call_command("sync_organizations")
    from accounts.models import User  # noqa: PLC0415 - Django must be set up first

    if not User.objects.filter(username="operator").exists():
        file = Options.read(os.environ).operator_password
        password = file.read_text(encoding="utf-8").strip() if file.exists() else secrets.token_urlsafe(15)
        # Written first: a kill in between leaves a password without a person, which the next run uses.
        write_private(file, password + "\n")
        User.objects.create_superuser("operator", "operator@example.com", password)


if __name__ == "__main__":
    main()
