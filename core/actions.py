"""The one place where every request is decided about: each route names an action, and without one it is refused.

A page says `@requires("workspaces.view")`, an Endpoint has `required_action`, a button of the operators' pages an
AdminAction's `required_action`. Who decides is named by the setting POLICY_DECIDER, since this app knows no policies.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.utils.module_loading import import_string

from core.errors import Forbidden

_View = TypeVar("_View", bound=Callable[..., Any])
# One action for all methods of a route, or one for each; HEAD is GET's.
Required = str | Mapping[str, str]


class NoAction(Forbidden):
    """403: the route names no action, so nobody may use it."""

    default = "Nobody may do this at this address."


def requires(action: Required) -> Callable[[_View], _View]:
    """A page that is shown to whoever may do this; a mapping has an action for each method."""

    def decorate(view: _View) -> _View:
        view.required_action = action  # type: ignore[attr-defined]  # read by `action_of`
        return view

    return decorate


def action_of(view: Any, method: str | None) -> str:
    """What a view, or a class of views, says that this method of it does; "" where it says nothing."""
    required: Required = getattr(view, "required_action", "") or getattr(
        getattr(view, "view_class", None), "required_action", ""
    )
    if isinstance(required, str):
        return required
    return required.get("GET" if method in {"HEAD", "OPTIONS", None} else str(method), "")


def is_allowed(by: Any, action: str) -> bool:
    """Whether somebody who was let in may do this at all. Raises Unavailable when it can't be told."""
    try:
        authorize(by, action)
    except Forbidden:
        return False
    return True


def authorize(by: Any, action: str) -> None:
    """Return if somebody who was let in may do this at all. Raises Forbidden, or Unavailable when it can't be told."""
    if not action:
        raise NoAction
    _decider(settings.POLICY_DECIDER)(by, action)


@lru_cache(maxsize=8)
def _decider(path: str) -> Callable[[Any, str], object]:
    found: Callable[[Any, str], object] = import_string(path)
    return found
