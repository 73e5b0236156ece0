"""What clients may ask for, in the toolkit's words."""

from collections.abc import Iterable, Mapping
from typing import Any

from oauth2_provider.scopes import BaseScopes

from accounts.principals import SCOPES

# OpenID Connect Core, section 5.4, and what its clients send by habit.
IDENTITY = {
    "openid": "know who you are",
    "profile": "see your name",
    "email": "see your e-mail address",
    "offline_access": "stay signed in until you end it",
}
ALL = {**IDENTITY, **SCOPES}
# For who names none: it may look, and no more.
_USUAL = [*IDENTITY, *(scope for scope in SCOPES if scope.endswith(":read"))]


class Scopes(BaseScopes):  # type: ignore[misc]  # the toolkit is untyped
    """All scopes for everybody to ask for; the person decides."""

    def get_all_scopes(self) -> Mapping[str, str]:
        """Each with what it means."""
        return ALL

    def get_available_scopes(self, application: Any = None, request: Any = None, *_: Any, **__: Any) -> list[str]:  # noqa: ARG002 - the toolkit's signature
        """What this client may ask for."""
        return list(ALL)

    def get_default_scopes(self, application: Any = None, request: Any = None, *_: Any, **__: Any) -> list[str]:  # noqa: ARG002 - the same
        """What it gets that asks for nothing in particular."""
        return list(ALL) if application is not None and application.is_verified else list(_USUAL)


def spoken(scopes: Iterable[str]) -> list[str]:
    """What these mean to the person who is asked, in the order of the list above."""
    wanted = set(scopes)
    return [meaning for scope, meaning in ALL.items() if scope in wanted]
