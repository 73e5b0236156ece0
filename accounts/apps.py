"""The accounts application."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate, pre_delete
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User


class AccountsConfig(AppConfig):
    """Registers the accounts application, its checks, and what follows every sign-in."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the system checks, what ends with somebody's access, signing in, and the end of a person's row."""
        from accounts import checks  # noqa: F401, PLC0415 - registering needs the app registry
        from accounts.services import api_keys, invitations  # noqa: F401, PLC0415 - the same, of how access ends
        from accounts.trusted_issuers import checks as checks_of_issuers  # noqa: F401, PLC0415

        user_logged_in.connect(_give_organization)
        post_migrate.connect(_make_keys, sender=self)
        pre_delete.connect(_end_access, sender=self.get_model("User"))


def _give_organization(*, user: "User", **_kwargs: object) -> None:
    """Give everybody an organization at their first sign-in, also operators who sign in with a password."""
    from accounts.services import users  # noqa: PLC0415 - needs the app registry

    users.ensure_personal_organization(user=user)


def _make_keys(*, plan: Sequence[tuple[object, bool]], **_kwargs: object) -> None:
    """Make the first signing keys, and our own tool's client, as soon as there are tables for them."""
    from accounts.oauth import clients, keys  # noqa: PLC0415 - needs the app registry

    if plan and not any(backwards for _migration, backwards in plan):
        keys.ensure(now=timezone.now())
        clients.ensure_own()


def _end_access(*, instance: "User", **_kwargs: object) -> None:
    """End what would outlive a person's row when it is deleted, even from a shell: sessions and machines' tokens."""
    from accounts.services import access_ended  # noqa: PLC0415 - needs the app registry

    access_ended.end(user=instance, why=access_ended.Why.DELETED, by=None, now=timezone.now())
