"""What our Nango client promises, held against the sandbox always and against a real Nango on request.

    NANGO_SERVER_URL=… NANGO_SECRET_KEY=… make test ARGS="tests/contract --force-enable-socket"

Tests reach nothing beyond this machine; the option lifts that, for a Nango that is elsewhere.
The real environment needs an integration of the provider `private-api-generic`, which takes any API
key; connections are made under random ids and deleted again. Two promises need an integration more, and are
skipped without: CONTRACT_NANGO_TESTS_KEYS is one whose provider tests API keys, CONTRACT_NANGO_REFRESHES
one by OAuth whose tokens are refreshed. A stand-in that drifts from the real thing fails here.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from dev.pytest_environment import CONTRACT_NANGO
from integrations.clients.nango import (
    CredentialsNotAccepted,
    CredentialsRejected,
    ImportRefused,
    Nango,
    NangoBusy,
    NangoRefusesKey,
    UnknownConnection,
    UnknownIntegration,
)
from integrations.credentials import APIKeyCredentials, BasicCredentials
from tests.sandbox_process import SandboxProcess

# Kept apart from the settings, which point at the sandbox.
REAL = tuple(os.environ.get(name, "") for name in CONTRACT_NANGO.values())
PROVIDER = "private-api-generic"
CREDENTIALS = APIKeyCredentials("contract-test-key")
REFUSED = "contract-test-refused"


@dataclass(frozen=True)
class Stage:
    """A Nango to test, one of its integrations, and a person who is in no other test."""

    nango: Nango
    url: str
    key: str
    integration: str
    person: str
    sandbox: SandboxProcess | None
    tests_keys: str
    refreshes: str

    def make(self, connection_id: str | None = None, **fields: Any) -> str:
        connection_id = connection_id or str(uuid.uuid4())
        self.nango.import_connection(
            **{
                "integration_id": self.integration,
                "connection_id": connection_id,
                "credentials": CREDENTIALS,
                "tags": {"end_user_id": self.person},
            }
            | fields
        )
        return connection_id

    def send(self, path: str, **body: Any) -> Any:
        """What our client never says."""
        answer = self.nango._call("POST", path, json=body)
        assert answer.ok, answer.body
        return answer.json()

    def complete(self, token: str) -> None:
        """Do what a person does on the session's page."""
        url = f"{self.url}/api-auth/api-key/{self.integration}?connect_session_token={token}"
        answer = urllib3.request("POST", url, json={"apiKey": "renewed-key"})
        assert answer.status == 200, answer.data

    def address(self, connection_id: str) -> dict[str, str]:
        return {"integration_id": self.integration, "connection_id": connection_id}


@pytest.fixture(params=["sandbox", "real"] if all(REAL) else ["sandbox"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    sandbox = None
    more = tuple(os.environ.get(name, "") for name in ("CONTRACT_NANGO_TESTS_KEYS", "CONTRACT_NANGO_REFRESHES"))
    if request.param == "sandbox":
        sandbox = request.getfixturevalue("sandbox")
        sandbox.settings(refused_credentials=[REFUSED])
        url, key, more = sandbox.nango_url, "00000000-0000-4000-8000-000000000001", ("acme", "salesforce")
    else:
        url, key = REAL
    nango = Nango(base_url=url, secret_key=key)
    integration = next((item.unique_key for item in nango.list_integrations() if item.provider == PROVIDER), None)
    if integration is None:
        pytest.skip(f"the environment has no integration of the provider {PROVIDER}")
    stage = Stage(nango, url, key, integration, f"contract-{uuid.uuid4()}", sandbox, *more)
    yield stage
    for made in nango.list_connections(owner=stage.person):
        nango.delete_connection(integration_id=made.integration_id, connection_id=made.connection_id)


def test_integrations_have_a_key_and_a_provider(stage):
    found = {item.unique_key: item for item in stage.nango.list_integrations()}

    assert found[stage.integration].provider == PROVIDER


def test_what_was_imported_is_listed_for_its_owner_alone(stage):
    connection_id = stage.make()

    (found,) = stage.nango.list_connections(owner=stage.person)

    assert (found.connection_id, found.integration_id, found.provider) == (connection_id, stage.integration, PROVIDER)
    assert (found.owner, found.organization, found.errors) == (stage.person, "", ())
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(minutes=2)
    assert stage.nango.list_connections(owner=f"{stage.person}-") == ()
    assert stage.nango.list_connections(owner=stage.person.upper()) == ()


def test_filters_are_exact_and_all_must_fit(stage):
    connection_id = stage.make()
    listed = stage.nango.list_connections

    assert len(listed(owner=stage.person, **stage.address(connection_id))) == 1
    assert listed(owner=stage.person, integration_id="no-such-integration") == ()
    assert listed(owner=stage.person, connection_id=connection_id[:-1]) == ()
    assert listed(owner="somebody-else", connection_id=connection_id) == ()
    assert len(listed(**stage.address(connection_id))) == 1


def test_all_pages_are_listed_newest_first(stage):
    made = [stage.make() for _ in range(5)]
    small = Nango(base_url=stage.url, secret_key=stage.key, page_size=2)

    assert [item.connection_id for item in small.list_connections(owner=stage.person)] == made[::-1]


def test_credentials_come_with_their_owner(stage):
    connection_id = stage.make(
        tags={"end_user_id": stage.person, "organization_id": "contract"}, connection_config={"region": "eu"}
    )

    found = stage.nango.get_connection(**stage.address(connection_id))

    assert found.owner == stage.person
    assert found.credentials["apiKey"] == "contract-test-key"
    assert found.connection_config["region"] == "eu"
    assert "contract-test-key" not in repr(found)


def test_a_second_import_replaces_everything(stage):
    connection_id = stage.make(tags={"end_user_id": stage.person, "organization_id": "contract"})
    stage.make(connection_id, credentials=APIKeyCredentials("second-key"))

    (found,) = stage.nango.list_connections(owner=stage.person)

    assert found.organization == ""
    assert stage.nango.get_connection(**stage.address(connection_id)).credentials["apiKey"] == "second-key"


@pytest.mark.parametrize("trap", ["x?provider_config_key=other#", "a/../b", "a%2Fb", "sp ace", "quo\"te'@", "é,+&="])
def test_any_id_reaches_nango_whole(stage, trap):
    connection_id = stage.make(f"{uuid.uuid4()}{trap}")

    (found,) = stage.nango.list_connections(owner=stage.person, connection_id=connection_id)
    assert found.connection_id == connection_id
    assert stage.nango.get_connection(**stage.address(connection_id)).owner == stage.person
    stage.nango.delete_connection(**stage.address(connection_id))
    assert stage.nango.list_connections(owner=stage.person) == ()


def test_a_deleted_connection_is_unknown_from_then_on(stage):
    connection_id = stage.make()
    stage.nango.delete_connection(**stage.address(connection_id))

    with pytest.raises(UnknownConnection):
        stage.nango.get_connection(**stage.address(connection_id))
    with pytest.raises(UnknownConnection):
        stage.nango.delete_connection(**stage.address(connection_id))
    with pytest.raises(UnknownConnection):
        stage.nango.create_reconnect_session(**stage.address(connection_id), tags={"end_user_id": stage.person})


def test_an_unknown_integration_is_told_on_every_route(stage):
    unknown = replace(stage, integration=f"no-such-{uuid.uuid4()}")

    with pytest.raises(UnknownConnection):
        stage.nango.get_connection(**unknown.address("x"))
    with pytest.raises(UnknownConnection):
        stage.nango.delete_connection(**unknown.address("x"))
    with pytest.raises(UnknownIntegration):
        unknown.make()
    with pytest.raises(UnknownIntegration):
        stage.nango.create_connect_session(integration_id=unknown.integration, tags={"end_user_id": stage.person})
    with pytest.raises(UnknownConnection):
        stage.nango.create_reconnect_session(**unknown.address("x"), tags={"end_user_id": stage.person})


def test_the_wrong_kind_of_credentials_is_refused(stage):
    with pytest.raises(ImportRefused):
        stage.make(credentials=BasicCredentials("u", "p"))
    assert stage.nango.list_connections(owner=stage.person) == ()


def test_a_connect_session_has_a_link_for_half_an_hour(stage):
    tags = {"end_user_id": stage.person, "end_user_email": "alice@example.com", "end_user_display_name": "Alice"}

    session = stage.nango.create_connect_session(integration_id=stage.integration, tags=tags)

    assert session.token in session.connect_link
    assert session.token not in repr(session)
    assert timedelta(minutes=25) < session.expires_at - datetime.now(UTC) < timedelta(minutes=31)


def test_a_reconnect_session_is_for_a_connection_that_is_there(stage):
    connection_id = stage.make()

    session = stage.nango.create_reconnect_session(**stage.address(connection_id), tags={"end_user_id": stage.person})

    assert session.connect_link.startswith("http")


def test_a_wrong_key_is_told_as_ours(stage):
    for key in (str(uuid.uuid4()), "not-a-key"):
        with pytest.raises(NangoRefusesKey):
            Nango(base_url=stage.url, secret_key=key).list_integrations()


def test_a_connection_of_the_older_kind_is_its_end_users(stage):
    connection_id, end_user = str(uuid.uuid4()), {"id": stage.person}
    address = {"provider_config_key": stage.integration, "connection_id": connection_id}
    stage.send("/connections", **address, credentials=CREDENTIALS.as_json(), end_user=end_user)

    (found,) = stage.nango.list_connections(owner=stage.person)

    assert (found.connection_id, found.owner) == (connection_id, stage.person)
    assert stage.nango.get_connection(**stage.address(connection_id)).owner == stage.person


def test_an_import_whose_key_the_provider_refuses_makes_nothing(stage):
    if not stage.tests_keys:
        pytest.skip("no integration is named whose provider tests API keys")
    with pytest.raises(CredentialsNotAccepted):
        stage.make(integration_id=stage.tests_keys, credentials=APIKeyCredentials(REFUSED))

    assert stage.nango.list_connections(owner=stage.person) == ()


def test_a_refused_refresh_names_the_owner(stage):
    if not stage.refreshes:
        pytest.skip("no integration is named whose tokens are refreshed")
    there = replace(stage, integration=stage.refreshes)
    address = {"provider_config_key": there.integration, "connection_id": (connection_id := str(uuid.uuid4()))}
    long_ago = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    tokens = {"type": "OAUTH2", "access_token": "old", "refresh_token": "refused", "expires_at": long_ago}
    there.send("/connections", **address, credentials=tokens, tags={"end_user_id": stage.person})
    if stage.sandbox:
        stage.sandbox.change_connection(there.integration, connection_id, refresh="rejected")

    # The second comes while Nango leaves the provider alone for a while.
    for _ in range(2):
        with pytest.raises(CredentialsRejected) as caught:
            stage.nango.get_connection(**there.address(connection_id))
        assert caught.value.owner == stage.person
    (listed,) = stage.nango.list_connections(owner=stage.person)
    assert listed.needs_reconnect


def test_reconnecting_takes_the_sessions_tags_for_all_that_there_are(stage):
    tags = {"end_user_id": stage.person, "organization_id": "contract"}
    connection_id = stage.make(tags=tags)

    session = stage.nango.create_reconnect_session(**stage.address(connection_id), tags=tags)
    stage.complete(session.token)
    (kept,) = stage.nango.list_connections(**stage.address(connection_id))
    assert (kept.owner, kept.organization) == (stage.person, "contract")
    assert stage.nango.get_connection(**stage.address(connection_id)).credentials["apiKey"] == "renewed-key"

    answer = stage.send("/connect/sessions/reconnect", **stage.address(connection_id))
    stage.complete(answer["data"]["token"])
    (wiped,) = stage.nango.list_connections(**stage.address(connection_id))
    assert (wiped.owner, wiped.organization) == ("", "")
    stage.nango.delete_connection(**stage.address(connection_id))


def test_a_rate_limit_that_is_used_up_says_how_long(stage):
    if not stage.sandbox:
        pytest.skip("the real limit is everybody's")
    # Another client to the cache, so that the stage can be cleared meanwhile.
    nango = Nango(base_url=f"{stage.url}/", secret_key=stage.key)
    stage.sandbox.settings(rate_limit_per_minute=1)

    with pytest.raises(NangoBusy) as caught:
        nango.list_integrations()

    assert 50 <= caught.value.retry_after <= 60
    stage.sandbox.settings(rate_limit_per_minute=200)
