"""What an entry of the tables says: one address, and what each kind of caller gets there.

In paths and bodies `{connection}` is alice's connection,
`{token}`, `{login}` and `{session}` the ids of her apps and browser,
`{code}` and `{secret}` of her CLI login, `{link}` that of hers to connect an account and `{nango}` where it leads,
`{app}` and `{build}` the ids of her deployed app "shop" and its build, `{machine}` the id of her machine "studio",
`{dev}` its name at Fly, `{dev_ui}` where its dev UI lets people in, `{job}` the id of its cron job, and
`{offer}` that of her offer to make it the member's. `{key}` is the id of her API key.
`absent` is the same question about a thing that isn't there: whoever gets a 404 for alice's must get
that very answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Callers of the API: by what they send. `member` may use alice's machine and doesn't decide about it, `bob` and
# `charlie` are strangers to all that is hers, `browser` is alice's session cookie without a token. `key` is an API key
# of alice's that may all that she may, `narrowed` one that may call tools and nothing else, `worker` one of a worker of
# her organization, `service` a configured key of a service there.
CALLERS = (
    "alice", "member", "bob", "charlie", "nobody", "browser", "garbled", "unknown",
    "expired", "revoked", "suspended", "waitlisted", "left", "key", "narrowed", "worker", "service",
)  # fmt: skip
# Visitors of pages: by whose session they have. `token` is alice's access token without a session.
VISITORS = ("alice", "member", "bob", "nobody", "token", "suspended", "waitlisted", "operator", "superuser")
LOGIN, OPERATORS = "/auth/sign-in?next=", "/admin/login/?next="


@dataclass(frozen=True)
class Call:
    """One route of the JSON API, one method."""

    method: str
    path: str
    statuses: Mapping[str, int]
    body: Mapping[str, Any] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visit:
    """One page, one method. A status with an address is a redirect to it."""

    method: str
    path: str
    statuses: Mapping[str, int | str]
    form: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def public(status: int) -> dict[str, int]:
    """The same for everybody, whatever they send along."""
    return dict.fromkeys(CALLERS, status)


def with_token(
    *, alice: int, others: int, member: int | None = None, key: int | None = None, service: int = 403
) -> dict[str, int]:
    """Only with a token that works, or a key.

    others: what bob and charlie get for alice's thing. member: what whoever may use her machine gets, if not the same.
    key: what alice's key gets, if not what she gets. service: what one gets that is no person.
    """
    closed = dict.fromkeys(("nobody", "browser", "garbled", "unknown", "expired", "revoked", "worker"), 401)
    shut_out = dict.fromkeys(("suspended", "waitlisted", "left", "narrowed"), 403)
    keys = {"key": alice if key is None else key, "service": service}
    known = {"alice": alice, "member": others if member is None else member, "bob": others, "charlie": others}
    return {**known, **closed, **shut_out, **keys}


def everybody(status: int | str, **others: int | str) -> dict[str, int | str]:
    """The same for all, but for those named."""
    return {**dict.fromkeys(VISITORS, status), **others}


def signed_in(path: str, status: int | str, **others: int | str) -> dict[str, int | str]:
    """Open to everybody who is signed in and not shut out; the others are asked to sign in."""
    closed = dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), f"{LOGIN}{path}")
    return {**everybody(status), **closed, **others}


def operators(path: str, status: int | str, superuser: int | str | None = None) -> dict[str, int | str]:
    """Open to operators; everybody else is sent to the operators' sign-in."""
    return everybody(f"{OPERATORS}{path}", operator=status, superuser=status if superuser is None else superuser)


def operators_late(path: str, status: int | str, superuser: int | str | None = None) -> dict[str, int | str]:
    """The same where a stranger meets our own sign-in first."""
    strangers = dict.fromkeys(("nobody", "token", "suspended", "waitlisted"), f"{LOGIN}{path}")
    return {**operators(path, status, superuser), **strangers}
