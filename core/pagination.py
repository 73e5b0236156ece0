"""Lists in parts, for answers that are bare arrays: `limit` and `after` ask, a Link header leads on (RFC 8288)."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core.api import json_response, query
from core.errors import Malformed

_LIMIT, _MOST = 50, 100
_LONGEST_AFTER = 100
PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _LIMIT},
        description="How many to give at most.",
    ),
    OpenApiParameter(
        "after",
        str,
        description="Give those after this one: the header `Link` has the address of the next part, if there is one.",
    ),
]


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list is asked for."""

    after: str
    limit: int

    @property
    def to_fetch(self) -> int:
        """One more than is given, which tells that there is more."""
        return self.limit + 1


def part_asked_for(request: HttpRequest | Request) -> Part:
    """What the query says. Raises Malformed."""
    asked = query(request)
    limit = asked.get("limit", str(_LIMIT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= len(str(_MOST)) and 1 <= int(limit) <= _MOST):
        raise Malformed(f"limit: Give a whole number from 1 to {_MOST}.")
    after = asked.get("after", "")
    if len(after) > _LONGEST_AFTER:
        raise Malformed(f"after: Ensure this field has no more than {_LONGEST_AFTER} characters.")
    return Part(after=after, limit=int(limit))


def number_after(part: Part) -> int:
    """What it is after, where rows are numbered; 0 for the beginning. Raises Malformed."""
    if not part.after:
        return 0
    if not (part.after.isascii() and part.after.isdecimal() and int(part.after) < 2**63):
        raise Malformed("after: Take it from the address in the `Link` header.")
    return int(part.after)


def in_parts(
    request: HttpRequest | Request, part: Part, given: Sequence[object], *, next_after: object
) -> HttpResponse:
    """The array, with the way to the next part where there is one; `next_after` is None at the end."""
    response = json_response(given)
    if next_after is not None:
        words = urlencode({"limit": part.limit, "after": str(next_after)})
        response["Link"] = f'<{settings.PUBLIC_URL}{request.path}?{words}>; rel="next"'
    return response
