"""What our Nango client promises, held against the sandbox always and against a real Nango on request.

    NANGO_SERVER_URL=… NANGO_SECRET_KEY=… make test ARGS="tests/contract --force-enable-socket"

Tests reach nothing beyond this machine; the option lifts that, for a Nango that is elsewhere.
The real environment needs an integration of the provider `private-api-generic`, which takes any API key, and one by
OAuth2 with whatever client, whose refresh then fails; CONTRACT_NANGO_REFRESHES names it where there are several.
What is connected gets random ids and is deleted again, links are revoked, and what can't be deleted is named at the
end. One promise needs an integration more, and is skipped without: CONTRACT_NANGO_TESTS_KEYS is one whose provider
tests API keys. Fewer than 150 calls a minute are made, so that others can work. A stand-in that drifts fails here.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from dev.pytest_environment import CONTRACT_NANGO
from integrations.nango_ids import is_email_for_nango
from integrations.sources import APIKeyCredentials, BasicCredentials
from integrations.sources.nango import (
    CredentialsNotAccepted,
    CredentialsRejected,
    ImportRefused,
    Nango,
    NangoBusy,
    NangoFailed,
    NangoLacksScope,
    NangoRefusesKey,
    UnknownConnection,
    UnknownIntegration,
)
from tests.contract.nango_stage import CALLS_A_MINUTE, CREDENTIALS, PROVIDER, REFUSED, Pace, PacedNango, Stage

# Kept apart from the settings, which point at the sandbox.
REAL = tuple(os.environ.get(name, "") for name in CONTRACT_NANGO.values())


@pytest.fixture(params=["sandbox", "real"] if all(REAL) else ["sandbox"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    sandbox = None
    tests_keys, refreshes = (
        os.environ.get(name, "") for name in ("CONTRACT_NANGO_TESTS_KEYS", "CONTRACT_NANGO_REFRESHES")
    )
    if request.param == "sandbox":
        sandbox = request.getfixturevalue("sandbox")
        sandbox.settings(refused_credentials=[REFUSED])
        url, key = sandbox.nango_url, "00000000-0000-4000-8000-000000000001"
        tests_keys, refreshes = "acme", "salesforce"
    else:
        url, key = REAL
    nango = (Nango if sandbox else PacedNango)(base_url=url, secret_key=key)
    there = nango.list_integrations()
    integration = next((item.unique_key for item in there if item.provider == PROVIDER), None)
    assert integration, f"the environment needs an integration of the provider {PROVIDER}"
    if not refreshes:
        refreshes = next((item.unique_key for item in there if nango._auth_mode_of(item.provider) == "OAUTH2"), "")
    stage = Stage(nango, url, key, integration, f"contract-{uuid.uuid4()}", sandbox, tests_keys, refreshes)
    yield stage
    if sandbox:
        sandbox.settings(scopes=["environment:*"], nango_database_down=False, rate_limit_per_minute=200)
    stage.clean_up()


def test_the_suite_leaves_others_their_share():
    told: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        told.append(seconds)
        now[0] += seconds

    pace = Pace(clock=lambda: now[0], sleep=sleep)
    for _ in range(2 * CALLS_A_MINUTE + 1):
        pace.wait()
    assert (told, now[0]) == ([60, 60], 120)


def test_the_suite_says_what_it_leaves(stage):
    if not stage.sandbox:
        pytest.skip("a real Nango would keep it for ever")
    stage.sandbox.seed(integration="acme", connection_id="caf\u00e9", tags={"end_user_id": stage.person})

    with pytest.raises(AssertionError, match=r"to be deleted by hand.*caf\u00e9"):
        stage.clean_up()
    stage.sandbox.control("DELETE", "/nango/connections/acme/caf%C3%A9")


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
    small = stage.client(page_size=2)

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


@pytest.mark.parametrize("trap", ["/../b", "sp ace", "quo\"te'@", ",.;:=+~", "[\\]|${}_-"])
def test_any_id_of_nangos_alphabet_reaches_nango_whole(stage, trap):
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
    assert stage.nango.list_connections(owner=stage.person, integration_id="no such #") == ()


@pytest.mark.parametrize("odd", ["a%b", "a?b", "a#b", "caf\u00e9"])
def test_what_nango_finds_by_no_route_is_strange_in_its_list(stage, odd):
    if not stage.sandbox:
        pytest.skip("a real Nango would keep it for ever")
    stage.send("/connections", provider_config_key=stage.integration, connection_id=odd,
               credentials=CREDENTIALS.as_json(), tags={"end_user_id": stage.person})  # fmt: skip
    stage.made.clear()

    (page,) = stage.nango.pages_of_connections(owner=stage.person)
    assert (page.connections, [item.connection_id for item in page.strange]) == ((), [odd])
    with pytest.raises(NangoFailed):
        stage.nango.find_connection(**stage.address(odd))
    with pytest.raises(UnknownConnection):
        stage.nango.get_connection(**stage.address(odd))
    stage.sandbox.reset()


@pytest.mark.parametrize("address", ["a.b+c_d-e'f@mail.example.co", "alice@example.com"])
def test_an_address_that_we_send_is_taken(stage, address):
    assert is_email_for_nango(address)
    tags = {"end_user_id": stage.person, "end_user_email": address}
    stage.link(stage.nango.create_connect_session(integration_id=stage.integration, tags=tags))


@pytest.mark.parametrize("address", ["a!b@example.com", "alice'@example.com", "a@example.xn--p1ai", "a@localhost"])
def test_an_address_that_we_leave_out_is_refused_as_a_fault_of_the_tags(stage, address):
    assert not is_email_for_nango(address)
    body = {"tags": {"end_user_id": stage.person, "end_user_email": address}}
    answer = stage.nango._call("POST", "/connect/sessions", json=body)
    assert answer.status == 400
    assert [problem["path"] for problem in answer.json()["error"]["errors"]] == [["tags"]]


def test_without_its_scope_credentials_are_an_error(stage):
    if not stage.sandbox:
        pytest.skip("the real key has what scopes it has")
    connection_id = stage.make()
    stage.sandbox.settings(scopes=["environment:connections:read"])

    with pytest.raises(NangoLacksScope, match="environment:connections:read_credentials"):
        stage.nango.get_connection(**stage.address(connection_id))
    with pytest.raises(NangoLacksScope, match="environment:connections:list"):
        stage.nango.list_connections(owner=stage.person)


def test_a_nango_without_its_database_has_failed(stage):
    if not stage.sandbox:
        pytest.skip("the real database is everybody's")
    stage.sandbox.settings(nango_database_down=True)

    with pytest.raises(NangoFailed):
        stage.nango.list_integrations()


def test_the_wrong_kind_of_credentials_is_refused(stage):
    with pytest.raises(ImportRefused):
        stage.make(credentials=BasicCredentials("u", "p"))
    assert stage.nango.list_connections(owner=stage.person) == ()


def test_a_connect_session_has_a_link_for_half_an_hour(stage):
    tags = {"end_user_id": stage.person, "end_user_email": "alice@example.com", "end_user_display_name": "Alice"}

    session = stage.link(stage.nango.create_connect_session(integration_id=stage.integration, tags=tags))

    assert session.token in session.connect_link
    assert session.token not in repr(session)
    assert timedelta(minutes=25) < session.expires_at - datetime.now(UTC) < timedelta(minutes=31)


def test_a_reconnect_session_is_for_a_connection_that_is_there(stage):
    connection_id = stage.make()

    tags = {"end_user_id": stage.person}
    session = stage.link(stage.nango.create_reconnect_session(**stage.address(connection_id), tags=tags))

    assert session.connect_link.startswith("http")


def test_a_link_names_the_nango_that_its_page_must_ask(stage):
    nango = stage.client(connect_api_url="https://nango.example.com")
    tags = {"end_user_id": stage.person}
    session = stage.link(nango.create_connect_session(integration_id=stage.integration, tags=tags))

    assert session.connect_link.endswith("&apiURL=https%3A%2F%2Fnango.example.com")
    if stage.sandbox:
        here = stage.link(stage.nango.create_connect_session(integration_id=stage.integration, tags=tags))
        assert urllib3.request("GET", here.connect_link).status == 200
        assert urllib3.request("GET", session.connect_link).status == 401


def test_a_wrong_key_is_told_as_ours(stage):
    for key in (str(uuid.uuid4()), "not-a-key"):
        with pytest.raises(NangoRefusesKey):
            stage.client(secret_key=key).list_integrations()


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
    assert stage.refreshes, "the environment needs an integration by OAuth2"
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

    session = stage.link(stage.nango.create_reconnect_session(**stage.address(connection_id), tags=tags))
    stage.complete(session.token)
    (kept,) = stage.nango.list_connections(**stage.address(connection_id))
    assert (kept.owner, kept.organization) == (stage.person, "contract")
    assert stage.nango.get_connection(**stage.address(connection_id)).credentials["apiKey"] == "renewed-key"

    answer = stage.send("/connect/sessions/reconnect", **stage.address(connection_id))
    stage.sessions.append(answer["data"]["token"])
    stage.complete(answer["data"]["token"])
    (wiped,) = stage.nango.list_connections(**stage.address(connection_id))
    assert (wiped.owner, wiped.organization) == ("", "")


def test_a_connection_that_is_deleted_meanwhile_is_not_renewed(stage):
    connection_id = stage.make()
    tags = {"end_user_id": stage.person}
    session = stage.link(stage.nango.create_reconnect_session(**stage.address(connection_id), tags=tags))
    stage.nango.delete_connection(**stage.address(connection_id))

    url = f"{stage.url}/api-auth/api-key/{stage.integration}?connect_session_token={session.token}"
    answer = stage.ask("POST", url, json={"apiKey": "renewed-key"})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_connection")


def test_every_answer_tells_the_rate_limit(stage):
    headers = stage.nango._call("GET", "/integrations").headers

    assert int(headers["x-ratelimit-limit"]) > 0
    assert 0 <= int(headers["x-ratelimit-remaining"]) < int(headers["x-ratelimit-limit"])


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
