"""A server whose sign-up policy is a list, and people at GitHub who are on it or not."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from accounts.services import leavers, users
from tests.conftest import make_person

TEAM, TOKEN = "crayon-team", "sandbox-github-org-token"
PREFIX = "no longer fits"
# As the sandbox's GitHub has them.
IDS = {"alice": 1001, "bob": 1002, "charlie": 1003}


def a_list(settings: Any, *, logins: str = "", organizations: str = "", domains: str = "") -> None:
    """Let in who is on this list; names apart by spaces."""
    settings.SIGNUP_POLICY = "allowlist"
    settings.SIGNUP_ALLOWED_LOGINS = logins.split()
    settings.SIGNUP_ALLOWED_ORGANIZATIONS = organizations.split()
    settings.SIGNUP_ALLOWED_EMAIL_DOMAINS = domains.split()
    settings.GITHUB_ORG_TOKEN = TOKEN


def known(login: str, **fields: Any) -> User:
    """Somebody who signed in with GitHub before."""
    return make_person(login, github_id=fields.pop("github_id", IDS.get(login)), **fields)


def look(*, hours: float = 0, **options: Any) -> leavers.Look:
    """The look of now, or of a later hour."""
    return leavers.look(now=timezone.now() + timedelta(hours=hours), **options)


def inside() -> set[str]:
    """Who may use the server."""
    return set(User.objects.filter(is_active=True).values_list("username", flat=True))


def many(count: int, *, first_id: int = 5_000_000) -> list[User]:
    """So many people at once, in the way of a server that has been in use."""
    at: datetime = timezone.now() - timedelta(days=30)
    people = [
        User(username=f"member-{n}", github_login=f"member-{n}", github_id=first_id + n, email=f"m{n}@example.com",
             last_login=at)
        for n in range(count)
    ]  # fmt: skip
    User.objects.bulk_create(people)
    for person in people[:3]:
        users.ensure_personal_organization(user=person)
    return people
