"""Looking for people who no longer fit the sign-up policy, and for those who do again.

Who belongs to GitHub's organizations is read before anything is decided, as whole lists, outside of transactions. What
isn't known throws nobody out. Why it is done so: docs/adr/0019-leavers.md.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from accounts.clients.github_organizations import GitHubOrganizations, NoAnswer, Organization
from accounts.models import Departure, User
from accounts.services import departures, provider_looks, signup_policy
from accounts.services.signup_policy import Account, Fit, Policy

_READ_AT_ONCE = 2000


@dataclass(slots=True, kw_only=True)
class Look:
    """What a look has found. `problem` says why some could not be asked about, or why nothing was done."""

    asked: int = 0
    # Logins of those who no longer fit, and of those who do again.
    leavers: list[str] = field(default_factory=list)
    returning: list[str] = field(default_factory=list)
    suspended: int = 0
    restored: int = 0
    # Who is missed, but not often enough to believe a provider that has failed lately; whose membership isn't known.
    waiting: int = 0
    unknown: int = 0
    # Of the provider.
    calls: int = 0
    problem: str = ""
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class _Person:
    id: uuid.UUID
    name: str
    github_id: int | None
    login: str
    email: str
    is_active: bool


@dataclass(slots=True)
class _Judged:
    """`inside` counts those who are in."""

    inside: int = 0
    leavers: list[_Person] = field(default_factory=list)
    returning: list[_Person] = field(default_factory=list)


class _Refused(Exception):
    """Nobody is thrown out this time; `name` of `provider_looks` counts it."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.sentence = sentence


def look(*, now: datetime, dry_run: bool = False, more_than_half: bool = False) -> Look:
    """Ask the policy about everybody, shut out who no longer fits, and let in who does again. May be repeated.

    A dry run writes nothing. Nothing is done that would shut out more than half of the people, unless that is meant.
    """
    found, policy = Look(), signup_policy.current()
    github = GitHubOrganizations.from_settings() if _can_be_asked(policy, found) else None
    organizations = _organizations(github, policy, found, now=now, dry_run=dry_run) if github else None
    judged = _judge(policy, organizations, found)
    try:
        judged.leavers = _certain(judged, github if organizations is not None else None, policy, more_than_half)
    except _Refused as refusal:
        found.problem, judged.leavers = refusal.sentence, []
        organizations = None if refusal.name == provider_looks.GITHUB else organizations
        if not dry_run:
            provider_looks.failed(refusal.name, refusal.sentence, now=now)
    else:
        if not dry_run:
            provider_looks.cleared(provider_looks.SIGN_UP_POLICY)
    found.calls = github.calls if github else 0
    found.leavers = [person.name for person in judged.leavers]
    found.returning = [person.name for person in judged.returning]
    if not dry_run:
        _decide(policy, judged, organizations, found, now=now)
    return found


def at_sign_in(*, user: User, account: Account, now: datetime) -> Fit:
    """What the policy says of somebody who is signing in; lets in again who was out for it and fits.

    OUT and UNKNOWN change nothing here: what one sign-in is shown may be odd, and ends nothing. The next look, which
    doubts, shuts out who no longer fits. Operators and whom an operator has spared fit.
    """
    policy = signup_policy.current()
    fit = policy.fit(account)
    if user.is_staff or user.is_superuser or Departure.objects.mistaken().filter(user=user).exists():
        fit = Fit.FITS
    if fit == Fit.FITS:
        if account.github_id is not None:
            signup_policy.pin(policy, logins=[(account.login, account.github_id)])
        departures.come_back(user_id=user.pk, now=now)
    return fit


def _can_be_asked(policy: Policy, found: Look) -> bool:
    if not policy.is_a_list or not policy.organizations:
        return False
    if not settings.GITHUB_ORG_TOKEN:
        found.problem = "GITHUB_ORG_TOKEN is not set, so who left an organization is only refused at sign-in."
    return bool(settings.GITHUB_ORG_TOKEN)


def _organizations(
    github: GitHubOrganizations, policy: Policy, found: Look, *, now: datetime, dry_run: bool
) -> list[Organization] | None:
    """The listed organizations with their members; None, and counted as a failure, where GitHub didn't tell all."""
    try:
        seen = [github.look_at(name) for name in policy.organizations]
        for each in seen:
            if not policy.is_listed_organization(login=each.login, github_id=each.id):
                raise NoAnswer(  # noqa: TRY301 - it is no answer either
                    f"The organization {each.login} is another one than before. If that is meant, take it off "
                    "SIGNUP_ALLOWED_ORGANIZATIONS, run check_leavers, and put it on again."
                )
    except NoAnswer as error:
        found.problem, found.retry_after = error.sentence, error.retry_after
        if not dry_run:
            provider_looks.failed(provider_looks.GITHUB, error.sentence, now=now)
        return None
    return seen


def _judge(policy: Policy, organizations: list[Organization] | None, found: Look) -> _Judged:
    """Who is in and no longer fits, and who is out because they didn't and does again."""
    members = None if organizations is None else frozenset().union(*(each.members for each in organizations))
    judged = _Judged()
    for person in _people():
        is_member = None if members is None else person.github_id in members
        fit = policy.fit(
            Account(github_id=person.github_id, login=person.login, email=person.email, is_member=is_member)
        )
        found.asked += 1
        found.unknown += fit == Fit.UNKNOWN
        judged.inside += person.is_active
        if fit == Fit.OUT and person.is_active:
            judged.leavers.append(person)
        if fit == Fit.FITS and not person.is_active:
            judged.returning.append(person)
    return judged


def _people() -> Iterator[_Person]:
    """Whom the policy is asked about: who came by GitHub and is in, but for operators and the spared; and who left.

    Whoever came otherwise, by another issuer's token or an operator's hand, was let in by something else. Three
    queries, however many there are.
    """
    columns = ("pk", "username", "github_id", "github_login", "email", "is_active")
    spared = set(Departure.objects.mistaken().values_list("user_id", flat=True))
    by_github = User.objects.filter(github_id__isnull=False, is_staff=False, is_superuser=False)
    inside = by_github.filter(is_active=True).exclude(pk__in=spared)
    outside = User.objects.filter(is_active=False, waitlisted_at=None, departures__outcome=Departure.Outcome.OUT)
    for people in (inside, outside):
        rows = people.order_by("pk").values_list(*columns)
        for pk, username, github_id, login, email, is_active in rows.iterator(chunk_size=_READ_AT_ONCE):
            yield _Person(pk, login or username, github_id, login, email, is_active)


def _certain(
    judged: _Judged,
    github: GitHubOrganizations | None,
    policy: Policy,
    more_than_half: bool,  # noqa: FBT001 - private
) -> list[_Person]:
    """Those leavers whom the lists don't have when they are read once more, either.

    Raises _Refused where GitHub doesn't tell that, and where they are too many to be believed.
    """
    leavers = judged.leavers
    if github is not None and leavers:
        try:
            there = frozenset().union(*(github.members_of(name) for name in policy.organizations))
        except NoAnswer as error:
            raise _Refused(provider_looks.GITHUB, error.sentence) from error
        leavers = [person for person in leavers if person.github_id not in there]
    if 2 * len(leavers) > judged.inside and not more_than_half:
        raise _Refused(provider_looks.SIGN_UP_POLICY, _too_many(len(leavers), judged.inside, policy))
    return leavers


def _too_many(leavers: int, inside: int, policy: Policy) -> str:
    return (
        f"{leavers} of {inside} people would be out, so nobody is. Look at SIGNUP_ALLOWED_LOGINS, "
        "SIGNUP_ALLOWED_ORGANIZATIONS and SIGNUP_ALLOWED_EMAIL_DOMAINS"
        f"{' and at GitHub' if policy.organizations else ''}. If it is meant: check_leavers --more-than-half."
    )


def _decide(
    policy: Policy, judged: _Judged, organizations: list[Organization] | None, found: Look, *, now: datetime
) -> None:
    """Write down what was learned, and shut out and let in whom it concerns, each in a transaction of its own."""
    signup_policy.forget_unlisted(policy)
    # A login is pinned at sign-in alone: the recorded one may be somebody else's at GitHub by now.
    signup_policy.pin(policy, logins=(), organizations=[(each.login, each.id) for each in organizations or ()])
    leavers = judged.leavers
    if organizations is not None:
        believed = provider_looks.succeeded(provider_looks.GITHUB, missed=[each.id for each in leavers], now=now)
        leavers = [person for person in leavers if person.id in believed]
        found.waiting = len(judged.leavers) - len(leavers)
    for person in leavers:
        found.suspended += departures.depart(
            user_id=person.id, reason=policy.sentence, found_by=Departure.FoundBy.LOOK, seen_at=now, now=now
        )
    for person in judged.returning:
        found.restored += departures.come_back(user_id=person.id, now=now)
