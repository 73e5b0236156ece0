"""How Fly is called: with which credentials, and which of its hosts remembers what was just changed."""

import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock

from core.http_client import Response, Service, segment
from fly.clients.machines_api import responses

logger = logging.getLogger(__name__)

_AFFINITY = re.compile(r"fly_flaps_affinity=([^;,\s\"]{1,4000})")
_MOST_AFFINITIES = 1000
_LONGEST_WAIT_SECONDS = 60


def authorization(token: str) -> str:
    """The header's value for a token as Fly hands it out.

    Macaroons go by a scheme of their own, which a pasted token may bring along.
    """
    if token.startswith("FlyV1 "):
        return token
    return f"FlyV1 {token}" if token.startswith("fm") else f"Bearer {token}"


class Calls:
    """The two APIs of one organization at Fly. Safe for threads; calls share a pool for each API."""

    def __init__(  # noqa: PLR0913 - two services, and how long they may take
        self,
        *,
        api_url: str,
        platform_url: str,
        token: str,
        org: str,
        budget: float = 5.0,
        shares_budget: bool = False,
    ) -> None:
        headers = {"Authorization": authorization(token), "Accept": "application/json"}
        self.org = org
        self._api = Service(name="Fly", base_url=api_url, headers=headers, budget=budget, shares_budget=shares_budget)
        self._waiting = Service(name="Fly", base_url=api_url, headers=headers, budget=budget + _LONGEST_WAIT_SECONDS)
        self._platform = Service(name="Fly", base_url=platform_url, headers=headers, budget=budget)
        self._affinities = _Affinities()

    def _call(  # noqa: PLR0913 - an HTTP request has this many parts
        self,
        method: str,
        path: str,
        *,
        app: str = "",
        query: Sequence[tuple[str, str]] = (),
        json: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        wait: bool = False,
    ) -> Response:
        """Ask the Machines API; `app` is the one that it is about, `wait` a question that is answered late."""
        service = self._waiting if wait else self._api
        answer = service.call(
            method,
            path,
            query=query,
            json=json,
            headers={**self._affinities.header_of(app), **(headers or {})},
            repeatable=repeatable,
        )
        self._affinities.note(app, answer)
        if method != "GET":
            logger.info("Fly: %s %s: %s (%s)", method, path, answer.status, responses.request_id(answer))
        return answer


class _Affinities:
    """Which host knows an app that was just made: only that one surely sees it, for up to a minute."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def header_of(self, app: str) -> dict[str, str]:
        """The cookie to send along."""
        found = self._of.get(app)
        return {"Cookie": f"fly_flaps_affinity={found}"} if found else {}

    def note(self, app: str, answer: Response) -> None:
        """Remember the cookie that came, if any."""
        found = _AFFINITY.search(answer.headers.get("set-cookie", ""))
        if not found or not app:
            return
        with self._lock:
            self._of[app] = found[1]
            while len(self._of) > _MOST_AFFINITIES:
                self._of.popitem(last=False)


def app_path(app: str, *parts: str) -> str:
    """The path of an app, or of something of it; every part is encoded whole."""
    return "/".join(["/v1/apps", segment(app), *(segment(part) for part in parts)])
