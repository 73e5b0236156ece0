"""The sign-up policy: who may be here. It is asked at every sign-in, and every hour about everybody."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db.models import Q

from accounts.models import ListedName
from accounts.models.leavers import LONGEST_SENTENCE

Kind = ListedName.Kind


class Fit(StrEnum):
    """What the policy says of somebody."""

    FITS = "fits"
    # Only an organization could let them in, and who belongs to it is not known.
    UNKNOWN = "unknown"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of somebody. `is_member` says whether they are in a listed organization; None is not known."""

    github_id: int | None
    login: str
    email: str
    is_member: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy as it is set, with whose the listed names are known to be."""

    is_a_list: bool
    logins: frozenset[str]
    organizations: tuple[str, ...]
    domains: frozenset[str]
    pins: Mapping[tuple[str, str], int]
    # Of the listed logins' accounts, as far as they are known.
    listed_ids: frozenset[int]

    def fit(self, account: Account) -> Fit:
        """Whether the account is on the list."""
        if not self.is_a_list or self._is_listed(account) or self._has_listed_address(account):
            return Fit.FITS
        if not self.organizations or account.is_member is False:
            return Fit.OUT
        return Fit.FITS if account.is_member else Fit.UNKNOWN

    def is_listed_organization(self, *, login: str, github_id: int) -> bool:
        """Whether this is one of the listed ones, under whatever name by now, and not another that took its name."""
        pinned = [self.pins.get((Kind.ORGANIZATION, name)) for name in self.organizations]
        name = login.lower()
        is_first = name in self.organizations and (Kind.ORGANIZATION, name) not in self.pins
        return is_first or github_id in pinned

    @property
    def sentence(self) -> str:
        """Why somebody is out who is out."""
        missing = ["their login is not listed"] if self.logins else []
        if self.domains:
            missing.append(f"their e-mail address is not of {_either(sorted(self.domains))}")
        if self.organizations:
            missing.append(f"they are no member of {_either(self.organizations)} at GitHub")
        text = ", and ".join(missing) or "nobody is listed"
        return f"{text[0].upper()}{text[1:]}."[:LONGEST_SENTENCE]

    def _is_listed(self, account: Account) -> bool:
        """By id, where the listed name is known to be somebody's: a login may change hands, or its owner rename it."""
        if account.github_id is None:
            return False
        login = account.login.lower()
        is_first = login in self.logins and (Kind.LOGIN, login) not in self.pins
        return is_first or account.github_id in self.listed_ids

    def _has_listed_address(self, account: Account) -> bool:
        domain = account.email.rpartition("@")[2].lower()
        return bool(domain) and domain in self.domains


def current() -> Policy:
    """The policy of now. One query where it is a list."""
    is_a_list = settings.SIGNUP_POLICY == "allowlist"
    rows = ListedName.objects.values_list("kind", "name", "github_id") if is_a_list else ()
    pins = {(kind, name): github_id for kind, name, github_id in rows}
    logins = frozenset(settings.SIGNUP_ALLOWED_LOGINS)
    return Policy(
        is_a_list=is_a_list,
        logins=logins,
        organizations=tuple(settings.SIGNUP_ALLOWED_ORGANIZATIONS),
        domains=frozenset(settings.SIGNUP_ALLOWED_EMAIL_DOMAINS),
        pins=pins,
        listed_ids=frozenset(
            github_id for (kind, name), github_id in pins.items() if kind == Kind.LOGIN and name in logins
        ),
    )


def pin(policy: Policy, *, logins: Iterable[tuple[str, int]], organizations: Iterable[tuple[str, int]] = ()) -> None:
    """Remember whose the listed names are that have let somebody in for the first time; nothing for other names."""
    listed = {Kind.LOGIN: policy.logins, Kind.ORGANIZATION: frozenset(policy.organizations)}
    named = [(Kind.LOGIN, *each) for each in logins] + [(Kind.ORGANIZATION, *each) for each in organizations]
    new = [
        ListedName(kind=kind, name=name.lower(), github_id=github_id)
        for kind, name, github_id in named
        if policy.is_a_list and name.lower() in listed[kind] and (kind, name.lower()) not in policy.pins
    ]
    if new:
        ListedName.objects.bulk_create(new, ignore_conflicts=True)


def forget_unlisted(policy: Policy) -> None:
    """Let go of names that are on the list no more: who puts one on it again means whoever has it then."""
    listed = {Kind.LOGIN: policy.logins, Kind.ORGANIZATION: frozenset(policy.organizations)}
    if any(name not in listed[Kind(kind)] for kind, name in policy.pins):
        still = Q(kind=Kind.LOGIN, name__in=policy.logins) | Q(kind=Kind.ORGANIZATION, name__in=policy.organizations)
        ListedName.objects.exclude(still).delete()


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)
