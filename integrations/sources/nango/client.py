"""The calls to Nango that this server makes."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings

from core.http_client import Response, Service, segment
from integrations.nango_ids import CLOUD_HOST, is_addressable, is_integration_id
from integrations.sources import Credentials
from integrations.sources.nango import responses, types
from integrations.sources.nango.backoff import Pause
from integrations.sources.nango.errors import (
    CredentialsRejected,
    NangoFailed,
    NangoLacksScope,
    NangoNotConfigured,
    UnknownConnection,
    UnknownIntegration,
)

logger = logging.getLogger(__name__)

_PAGE_SIZE = 1000
_API_URL = "apiURL"
_USUAL_LIMIT = 200
_LONGEST_NUMBER = 10
_LIMIT_HEADER = "x-ratelimit-limit"
_CREDENTIALS_SCOPE = "environment:connections:read_credentials"


class Nango:
    """One environment at Nango. Safe for threads; calls share one pool.

    Every method may raise ServiceFailed or NangoFailed (502), ServiceTimeout (504), and NangoBusy or
    NangoRefusesKey (503); `budget` is the number of seconds for all calls of one request, or for one call outside
    of a request.
    """

    def __init__(
        self,
        *,
        base_url: str,
        secret_key: str,
        connect_api_url: str = "",
        budget: float = 5.0,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        is_cloud = urlsplit(base_url).hostname == CLOUD_HOST
        self._connect_api_url = "" if is_cloud else connect_api_url or base_url
        self._auth_modes: dict[str, str] = {}
        # Of the account, 0 for none; until an answer tells it is what a Nango of one's own has by itself.
        self.calls_a_minute = _USUAL_LIMIT
        self.fingerprint = hashlib.sha256(f"{base_url}\0{secret_key}".encode()).hexdigest()[:16]
        self._page_size = page_size
        self._pause = Pause(f"nango-pause:{self.fingerprint}")
        headers = {"Authorization": f"Bearer {secret_key}", "Accept": "application/json"}
        self._service = Service(name="Nango", base_url=base_url, headers=headers, budget=budget, shares_budget=True)

    @classmethod
    def from_settings(cls) -> "Nango":
        """The configured environment's client, one for the process. Raises NangoNotConfigured."""
        if not settings.NANGO_SECRET_KEY:
            raise NangoNotConfigured
        return _shared(
            settings.NANGO_SERVER_URL,
            settings.NANGO_SECRET_KEY,
            settings.NANGO_CONNECT_API_URL,
            settings.OUTGOING_PROXY_URL,
            settings.OUTGOING_CA_FILE,
        )

    # https://nango.dev/docs/reference/api/integration/list
    def list_integrations(self) -> tuple[types.Integration, ...]:
        """All integrations of the environment; Nango does not page them."""
        answer = self._call("GET", "/integrations")
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.integrations)

    # https://nango.dev/docs/reference/api/connection/list
    def list_connections(
        self, *, owner: str | None = None, integration_id: str | None = None, connection_id: str | None = None
    ) -> tuple[types.Connection, ...]:
        """The connections that meet every given filter, newest first, without credentials.

        `owner` is the exact value of the tag `end_user_id`; it finds connections made with the older
        `end_user` too. An unknown integration has no connections. What can't be read is left out.
        """
        pages = self.pages_of_connections(owner=owner, integration_id=integration_id, connection_id=connection_id)
        return tuple(found for page in pages for found in page.connections)

    def pages_of_connections(
        self, *, owner: str | None = None, integration_id: str | None = None, connection_id: str | None = None
    ) -> Iterator[types.Page]:
        """Give the connections page by page, as they are asked for; offsets shift when something changes meanwhile.

        Each tells of what can't be read as well.
        """
        filters = {
            f"tags[{types.OWNER_TAG}]": owner,
            "integrationId": integration_id,
            "connectionId": connection_id,
            "limit": str(self._page_size),
        }
        # Nango refuses an empty value, and one that was dropped would list what is everybody's.
        if "" in filters.values():
            return
        given = [(name, value) for name, value in filters.items() if value is not None]
        number = 0
        while True:
            answer = self._call("GET", "/connections", query=[*given, ("page", str(number))])
            if not answer.ok:
                raise responses.failure(answer)
            page = responses.read(answer, types.connections)
            yield page
            number += 1
            if page.size < self._page_size:
                return

    def find_connection(self, *, integration_id: str, connection_id: str) -> types.Connection | None:
        """What Nango has at this address, whosever it is, without its credentials.

        Raises NangoFailed when there is something that can't be read, since it is somebody's.
        """
        wanted = (integration_id, connection_id)
        for page in self.pages_of_connections(integration_id=integration_id, connection_id=connection_id):
            for found in page.connections:
                if (found.integration_id, found.connection_id) == wanted:
                    return found
            if page.strange:
                logger.error("Nango has a connection at an address in question that can't be read")
                raise NangoFailed
        return None

    # https://nango.dev/docs/reference/api/connection/get
    def get_connection(self, *, integration_id: str, connection_id: str) -> types.ConnectionWithCredentials:
        """The connection's credentials, refreshed by Nango when they are about to expire.

        Raises UnknownConnection, CredentialsRejected when the provider refused to refresh them, or
        NangoLacksScope: Nango then answers as if there were none.
        """
        path, query = _address(integration_id, connection_id)
        answer = self._call("GET", path, query=query)
        if answer.ok:
            found = responses.read(answer, types.connection_with_credentials)
            if not found.credentials and self._auth_mode_of(found.provider) != "NONE":
                logger.error("Nango keeps credentials from us: our key lacks %s", _CREDENTIALS_SCOPE)
                raise NangoLacksScope(_CREDENTIALS_SCOPE)
            return found
        # Some providers' refusals come with a status of their own, so the code decides.
        if responses.code(answer) in responses.REJECTED:
            raise CredentialsRejected(owner=responses.owner_of_rejected(answer))
        if responses.code(answer) in responses.UNKNOWN:
            raise UnknownConnection
        raise responses.failure(answer)

    # https://nango.dev/docs/reference/api/connection/post
    def import_connection(
        self,
        *,
        integration_id: str,
        connection_id: str,
        credentials: Credentials,
        tags: Mapping[str, str],
        connection_config: Mapping[str, object] | None = None,
    ) -> None:
        """Make the connection, or replace it whole when Nango has one of these ids.

        Raises UnknownIntegration, CredentialsNotAccepted, ImportRefused or NoMoreConnections, and
        then has changed nothing.
        """
        body: dict[str, object] = {
            "provider_config_key": integration_id,
            "connection_id": connection_id,
            "credentials": credentials.as_json(),
            "tags": dict(tags),
        }
        if connection_config is not None:
            body["connection_config"] = dict(connection_config)
        answer = self._call("POST", "/connections", json=body)
        if not answer.ok:
            raise responses.import_failure(answer)
        if responses.read(answer, types.made) != types.Made(integration_id, connection_id):
            logger.error("Nango made a connection of other ids than asked for")
            raise NangoFailed

    # https://nango.dev/docs/reference/api/connection/delete
    def delete_connection(self, *, integration_id: str, connection_id: str) -> None:
        """Delete the connection and what is stored with it. Raises UnknownConnection."""
        path, query = _address(integration_id, connection_id)
        answer = self._call("DELETE", path, query=query)
        if answer.ok:
            responses.read(answer, types.done)
        elif responses.code(answer) in responses.UNKNOWN:
            raise UnknownConnection
        else:
            raise responses.failure(answer)

    # https://nango.dev/docs/reference/api/connect/sessions/create
    def create_connect_session(self, *, integration_id: str, tags: Mapping[str, str]) -> types.ConnectSession:
        """A page for connecting an account of one integration. Raises UnknownIntegration."""
        body = {"tags": dict(tags), "allowed_integrations": [integration_id]}
        answer = self._call("POST", "/connect/sessions", json=body)
        if answer.ok:
            return self._session(answer)
        if responses.complains_about(answer, "allowed_integrations"):
            raise UnknownIntegration
        raise responses.failure(answer)

    # https://nango.dev/docs/reference/api/connect/sessions/reconnect
    def create_reconnect_session(
        self, *, integration_id: str, connection_id: str, tags: Mapping[str, str]
    ) -> types.ConnectSession:
        """A page for renewing a connection, which keeps its id.

        `tags` must be complete: they replace all that it has. Raises UnknownConnection.
        """
        body = {"integration_id": integration_id, "connection_id": connection_id, "tags": dict(tags)}
        answer = self._call("POST", "/connect/sessions/reconnect", json=body)
        if answer.ok:
            return self._session(answer)
        if responses.complains_of_nothing_else_than(answer, "connection_id", "integration_id"):
            raise UnknownConnection
        if responses.code(answer) in responses.UNKNOWN:
            raise UnknownConnection
        raise responses.failure(answer)

    def _session(self, answer: Response) -> types.ConnectSession:
        session = responses.read(answer, types.connect_session)
        return replace(session, connect_link=self.connect_link(session.connect_link))

    def _note_limit(self, answer: Response) -> None:
        """Learn from an answer how many calls a minute there are: one without a limit has no such header."""
        stated = answer.headers.get(_LIMIT_HEADER, "")
        if stated.isascii() and stated.isdecimal() and len(stated) < _LONGEST_NUMBER:
            self.calls_a_minute = int(stated)
        elif answer.ok and not stated:
            self.calls_a_minute = 0

    # https://github.com/NangoHQ/nango/issues/5432
    def connect_link(self, link: str) -> str:
        """The link to Nango's page for connecting, told whom to ask: by itself it asks Nango's cloud."""
        parts = urlsplit(link)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if not self._connect_api_url or any(name == _API_URL for name, _ in query):
            return link
        return urlunsplit(parts._replace(query=urlencode([*query, (_API_URL, self._connect_api_url)])))

    # https://nango.dev/docs/reference/api/providers/get
    def _auth_mode_of(self, provider: str) -> str:
        """How connections of the provider are authorized, "" when Nango knows no such provider."""
        if provider not in self._auth_modes:
            answer = self._call("GET", f"/providers/{segment(provider)}") if provider else None
            if answer and not answer.ok and responses.code(answer) not in responses.UNKNOWN:
                raise responses.failure(answer)
            self._auth_modes[provider] = (
                responses.read(answer, types.provider_auth_mode) if answer and answer.ok else ""
            )
        return self._auth_modes[provider]

    def _call(self, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), json: object = None) -> Response:
        """Send, unless Nango asked us to wait.

        Every call here may be sent twice: a second import says the same, a second delete finds
        nothing, and a second session is one more page that nobody opens.
        """
        self._pause.require_over()
        answer = self._service.call(method, path, query=query, json=json, repeatable=True)
        self._note_limit(answer)
        if answer.status == responses.TOO_MANY:
            logger.warning("Nango's rate limit is used up")
            raise self._pause.begin(responses.seconds_to_wait(answer))
        if answer.status in responses.REFUSED_KEY and responses.code(answer) not in responses.REJECTED:
            raise responses.key_failure(answer)
        return answer


def _address(integration_id: str, connection_id: str) -> tuple[str, list[tuple[str, str]]]:
    """Path and query of one connection; ids that Nango can't have are unknown without asking."""
    if not is_integration_id(integration_id) or not is_addressable(connection_id):
        raise UnknownConnection
    return f"/connections/{segment(connection_id)}", [("provider_config_key", integration_id)]


@lru_cache(maxsize=8)
def _shared(base_url: str, secret_key: str, connect_api_url: str, *_transport: str) -> Nango:
    # `_transport` are settings that the client's pool reads itself: other ones need another client.
    return Nango(base_url=base_url, secret_key=secret_key, connect_api_url=connect_api_url)
