"""Who belongs to an organization at GitHub, asked with the server's own token.

Whole lists by pages of a hundred: one call for a hundred people, where asking about each would be a hundred. People are
told apart by id, since logins change hands. https://docs.github.com/en/rest/orgs/members
"""

from dataclasses import dataclass, field
from typing import Self, TypeGuard

from django.conf import settings

from core.http_client import Response, Service, ServiceFailed, ServiceTimeout, segment

_SECONDS_A_CALL = 10.0
_LONGEST_ANSWER_BYTES = 4 << 20
_PAGE = 100
# Fifty thousand members.
_MOST_PAGES = 500
_OK, _NO_CONTENT, _FOUND, _UNAUTHORIZED, _NOT_FOUND = 200, 204, 302, 401, 404
_MOVED = frozenset({301, 307, 308})
_TOO_MANY = frozenset({403, 429})
_MINUTE = 60
_LONGEST_WAIT = 3600


class NoAnswer(Exception):
    """GitHub did not tell who the members are; the sentence is for operators. `retry_after` is in seconds."""

    def __init__(self, sentence: str, *, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization and the GitHub ids of all its members."""

    id: int
    login: str
    members: frozenset[int]


@dataclass(slots=True)
class GitHubOrganizations:
    """GitHub as the server's own token sees it. `calls` counts what was asked."""

    service: Service
    calls: int = field(default=0)

    @classmethod
    def from_settings(cls) -> Self:
        """The client for `GITHUB_ORG_TOKEN`."""
        headers = {"Accept": "application/vnd.github+json", "Authorization": f"Bearer {settings.GITHUB_ORG_TOKEN}"}
        return cls(
            Service(
                name="GitHub",
                base_url=settings.GITHUB_API_URL,
                headers=headers,
                budget=_SECONDS_A_CALL,
                longest_body=_LONGEST_ANSWER_BYTES,
            )
        )

    def look_at(self, name: str) -> Organization:
        """The organization and everybody in it, concealed members too.

        Raises NoAnswer for all that leaves open who belongs to it: no answer, a refusal, an organization that is gone
        or has moved, an empty list, and a token that is shown public members only.
        """
        path = f"/orgs/{segment(name)}"
        about = self._ask(path, name)
        organization_id = about.get("id") if isinstance(about, dict) else None
        if not _is_id(organization_id):
            raise NoAnswer(f"GitHub's answer about {name} is no organization.")
        members = self._members(path, name)
        self._require_all_to_be_shown(path, name, next(iter(members.values())))
        return Organization(organization_id, name, frozenset(members))

    def members_of(self, name: str) -> frozenset[int]:
        """The list once more: who leaves while pages are read moves others to a page that was read before."""
        return frozenset(self._members(f"/orgs/{segment(name)}", name))

    def _members(self, path: str, name: str) -> dict[int, str]:
        members: dict[int, str] = {}
        for page in range(1, _MOST_PAGES + 1):
            query = [("per_page", str(_PAGE)), ("page", str(page))]
            answer = self._call(f"{path}/members", name, query=query)
            entries = _entries(answer, name)
            members |= entries
            # A proxy may lose the header, and then a full page says that there may be another one.
            if 'rel="next"' not in answer.headers.get("link", "") and len(entries) < _PAGE:
                if not members:
                    raise NoAnswer(
                        f"GitHub lists nobody as a member of {name}, not even this server's token's account."
                    )
                return members
        raise NoAnswer(f"{name} has more than {_MOST_PAGES * _PAGE} members.")

    def _require_all_to_be_shown(self, path: str, name: str, member: str) -> None:
        """Somebody outside is shown public members only, with the same 200; asked about one of them GitHub says 302."""
        answer = self._send(f"{path}/members/{segment(member)}")
        if answer.status == _FOUND:
            raise NoAnswer(
                f"GITHUB_ORG_TOKEN is shown the public members of {name} only: its account must belong to it, and have "
                "the scope read:org or the permission “Members: read”."
            )
        if answer.status != _NO_CONTENT:
            raise _refusal(answer, f"a member of {name}")

    def _ask(self, path: str, name: str) -> object:
        return self._call(path, name).json()

    def _call(self, path: str, name: str, query: list[tuple[str, str]] | None = None) -> Response:
        answer = self._send(path, query)
        if answer.status in _MOVED:
            raise NoAnswer(
                f"The organization {name} has another name by now. Put that into SIGNUP_ALLOWED_ORGANIZATIONS."
            )
        if answer.status == _NOT_FOUND:
            raise NoAnswer(f"GitHub knows no organization {name}, or hides it from GITHUB_ORG_TOKEN.")
        if answer.status != _OK:
            raise _refusal(answer, name)
        return answer

    def _send(self, path: str, query: list[tuple[str, str]] | None = None) -> Response:
        self.calls += 1
        try:
            return self.service.call("GET", path, query=query or [])
        except (ServiceFailed, ServiceTimeout) as error:
            raise NoAnswer("GitHub can't be reached, or did not answer in time.") from error


def _entries(answer: Response, name: str) -> dict[int, str]:
    """Login by id. One entry that can't be read makes the page worthless: it may be anybody's."""
    body = answer.json()
    if not isinstance(body, list):
        raise NoAnswer(f"GitHub's list of the members of {name} can't be read.")
    members: dict[int, str] = {}
    for entry in body:
        number, login = (entry.get("id"), entry.get("login")) if isinstance(entry, dict) else (None, None)
        if not _is_id(number) or not isinstance(login, str) or not login:
            raise NoAnswer(f"GitHub's list of the members of {name} has an entry that can't be read.")
        members[number] = login
    return members


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refusal(answer: Response, what: str) -> NoAnswer:
    wait = _seconds(answer)
    if answer.status in _TOO_MANY and wait is not None:
        return NoAnswer("GitHub takes no more calls for now.", retry_after=wait)
    if answer.status == _UNAUTHORIZED:
        return NoAnswer("GitHub doesn't accept GITHUB_ORG_TOKEN: it is wrong, expired or revoked.")
    return NoAnswer(f"GitHub answered {answer.status} when asked about {what}.")


def _seconds(answer: Response) -> int | None:
    """How long to wait where the limit of calls is used up; None where that isn't the reason."""
    told = answer.headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return min(int(told), _LONGEST_WAIT)
    return _MINUTE if answer.headers.get("x-ratelimit-remaining") == "0" or answer.status == 429 else None  # noqa: PLR2004
