"""What the API's methods need of the credential that they are called with."""

from dataclasses import dataclass
from typing import Protocol

from core.errors import Forbidden


class OutsideOfScope(Forbidden):
    """403: the credential was narrowed to other things (RFC 6750, section 3.1: insufficient_scope)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"This credential lacks the scope {scope}. Make one that has it, or use your own login.")


class PeopleOnly(Forbidden):
    """403: what is a person's is asked for by somebody who is none."""

    default = "This belongs to people, and this key acts for none. Use a person's own API key or access token."


class OwnLoginOnly(Forbidden):
    """403: a key, or a credential that was narrowed, may not do this at all."""

    default = "No API key and no narrowed token may do this. Sign in yourself: in a browser, or by `crayon login`."


class Asker(Protocol):
    """Whoever was let in, as far as `Needs` looks at them: an `accounts.principals.Principal`."""

    @property
    def is_person(self) -> bool:
        """Whether a person acts, or something that a person made to act as themselves."""

    @property
    def is_own_login(self) -> bool:
        """Whether a person proved who they are with a login of their own that nothing narrows."""

    def may(self, scope: str) -> bool:
        """Whether the credential's scopes leave this in."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method needs of the credential that it is called with, whoever holds it.

    `scope` is one of `accounts.principals.SCOPES`; None where no narrowing counts. What belongs to a person is
    `people_only`. With `own_login` neither keys nor narrowed tokens will do, so that none makes another that may more.
    """

    scope: str | None
    people_only: bool = True
    own_login: bool = False

    def require(self, asker: Asker) -> None:
        """Raise PeopleOnly, OwnLoginOnly or OutsideOfScope (403) unless this credential will do."""
        if self.people_only and not asker.is_person:
            raise PeopleOnly
        if self.own_login and not asker.is_own_login:
            raise OwnLoginOnly
        if self.scope is not None and not asker.may(self.scope):
            raise OutsideOfScope(self.scope)
