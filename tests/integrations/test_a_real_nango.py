"""What a real Nango was seen to do, and what the server makes of it."""

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from integrations.models import Connection, StrangeConnection
from integrations.services.reconciliation import reconcile_connections
from integrations.sources.nango import Nango
from tests.integrations.conftest import credentials, event, own
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
KEY = "00000000-0000-4000-8000-000000000001"
READ = "environment:connections:read_credentials"
SCOPES = (
    "environment:integrations:list",
    "environment:connections:list",
    "environment:connections:read",
    READ,
    "environment:connections:create",
    "environment:connections:delete",
    "environment:connect_sessions:write",
)


def lacks(scope):
    return {"error": f"This server's key for Nango lacks the scope {scope}: its operator must add it in Nango."}


def create(api, **fields):
    body = {"integration_id": "acme", "connection_id": "main", "credentials": {"apiKey": "k"}}
    return api.post("/api/connections/create", body | fields)


def listed(api, integration="acme"):
    return api.get(f"/api/integrations/{integration}/connections")


def entry(person, **fields):
    return {
        "connection_id": "main",
        "provider_config_key": "acme",
        "provider": "private-api-generic",
        "errors": [],
        "end_user": None,
        "tags": {"end_user_id": str(person.pk)},
        "metadata": None,
        "created": "2026-01-02T03:04:05Z",
    } | fields


@pytest.mark.parametrize(
    ("server", "connect", "told"),
    [
        ("https://api.nango.dev", "", None),
        ("https://api.nango.dev", "https://nango.example.com", None),
        ("http://nango.internal:3003", "", "http://nango.internal:3003"),
        ("http://nango.internal:3003", "https://nango.example.com", "https://nango.example.com"),
    ],
)
def test_a_link_names_the_nango_that_its_page_must_ask(server, connect, told):
    nango = Nango(base_url=server, secret_key=KEY, connect_api_url=connect)
    link = "https://connect.example.com/?session_token=t"

    assert nango.connect_link(link) == (
        f"{link}&apiURL={told.replace(':', '%3A').replace('/', '%2F')}" if told else link
    )
    assert nango.connect_link(f"{link}&apiURL=x") == f"{link}&apiURL=x"


def test_the_seven_scopes_are_enough(alice_api, sandbox):
    sandbox.settings(scopes=list(SCOPES))
    address = {"integration_id": "acme", "connection_id": "main"}

    assert alice_api.get("/api/integrations").status_code == 200
    assert create(alice_api).status_code == 200
    assert len(listed(alice_api).json()["data"]) == 1
    assert credentials(alice_api, "main").status_code == 200
    assert alice_api.post("/api/nango/connect-session", {"integration_id": "acme"}).status_code == 200
    assert alice_api.post("/api/nango/connect-session", address).status_code == 200
    assert alice_api.post("/api/connections/delete", address).status_code == 200
    reconcile_connections(now=timezone.now())


@pytest.mark.parametrize("missing", [scope for scope in SCOPES if not scope.endswith(":read")])
def test_a_scope_that_is_missing_is_named(alice, alice_api, connect, sandbox, missing):
    connect(alice, connection_id="there")
    sandbox.settings(scopes=[scope for scope in SCOPES if scope != missing])
    answers = [
        alice_api.get("/api/integrations"),
        listed(alice_api),
        credentials(alice_api, "there"),
        create(alice_api),
        alice_api.post("/api/nango/connect-session", {"integration_id": "acme"}),
        alice_api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": "there"}),
    ]

    assert lacks(missing) in [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {200, 503}


def test_empty_credentials_are_an_error_that_names_the_scope(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.settings(scopes=["environment:connections:read", "environment:connections:list"])

    answer = credentials(alice_api, connection_id)

    assert (answer.status_code, answer.json()) == (503, lacks(READ))


def test_credentials_of_a_service_without_any_are_empty(alice, alice_api, connect, sandbox, calls):
    sandbox.control("POST", "/nango/integrations", {"unique_key": "open", "provider": "unauthenticated"})
    connection_id = connect(alice, "open", credentials={"type": "NONE"})

    for _ in range(2):
        answer = credentials(alice_api, connection_id, "open")
        assert answer.json() == {"data": {"token": "", "connectionConfig": {}, "raw": {}}}
    assert len([call for call in calls() if "/providers/" in call]) == 1


def test_nangos_broken_database_is_a_failure_of_nangos(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.settings(nango_database_down=True)
    failed = {"error": "Nango failed. Please try again in a moment."}

    for answer in (alice_api.get("/api/integrations"), listed(alice_api), credentials(alice_api, connection_id)):
        assert (answer.status_code, answer.json()) == (502, failed)


def test_an_unknown_integration_is_a_404_and_leaves_no_claim(alice_api, sandbox):
    answer = create(alice_api, integration_id="no-such")

    assert (answer.status_code, answer.json()) == (404, {"error": "Integration not found"})
    assert not Connection.objects.exists()


def test_credentials_of_the_wrong_kind_leave_no_claim(alice_api, sandbox):
    answer = create(alice_api, credentials={"username": "u", "password": "p"})

    assert answer.status_code == 400
    assert not Connection.objects.exists()


def test_a_connection_that_vanished_is_not_reconnected(alice, alice_api, sandbox, connect):
    connect(alice, connection_id="main")
    body = {"error": {"code": "invalid_body", "message": "Connection does not exist"}}
    sandbox.faults(target="nango", match="POST /connect/sessions/reconnect", status=400, body=body)

    answer = alice_api.post("/api/nango/connect-session", {"integration_id": "acme", "connection_id": "main"})
    assert (answer.status_code, answer.json()) == (404, {"error": "Connection not found"})


STRANGE = [
    {"connection_id": "caf\u00e9"},
    {"connection_id": ""},
    {"connection_id": None},
    {"connection_id": "x" * 256},
    {"connection_id": "\0"},
    {"created": "yesterday"},
    {"errors": None},
    {"errors": [7]},
    {"tags": "none"},
    {"tags": {"end_user_id": 7}},
    {"metadata": []},
    {"provider": None},
    {"provider_config_key": "a,b"},
    {"end_user": "alice", "tags": {}},
]


@pytest.mark.parametrize("change", STRANGE)
def test_one_strange_connection_never_breaks_a_list(alice, alice_api, sandbox, change):
    body = {"connections": [entry(alice, **change), entry(alice, connection_id="good")]}
    sandbox.faults(target="nango", match="GET /connections", body=body)

    assert [item["connection_id"] for item in listed(alice_api).json()["data"]] == ["good"]


@pytest.mark.parametrize("change", STRANGE)
def test_one_strange_connection_never_breaks_the_reconciliation(alice, sandbox, change):
    body = {"connections": [entry(alice, **change), entry(alice, connection_id="good")]}
    sandbox.faults(target="nango", match="GET /connections", body=body)

    counts = reconcile_connections(now=timezone.now())
    assert (counts.seen, counts.strange, counts.adopted) == (1, 1, 1)
    assert Connection.objects.get().connection_id == "good"
    assert StrangeConnection.objects.count() == 1


def test_a_strange_connection_of_ours_is_not_taken_for_gone(alice, alice_api, sandbox):
    own(alice, "main")
    body = {"connections": [entry(alice, metadata=[])]}
    sandbox.faults(target="nango", match="GET /connections", body=body, times=0)

    assert listed(alice_api).json() == {"data": []}
    for _ in range(3):
        reconcile_connections(now=timezone.now())
    assert Connection.objects.get().missing_since is None


def test_nobody_gets_the_address_of_a_strange_connection(alice, charlie_api, sandbox):
    sandbox.faults(target="nango", match="GET /connections", body={"connections": [entry(alice, metadata=[])]}, times=0)

    assert create(charlie_api).status_code == 502
    assert not any(call["method"] == "POST" for call in sandbox.requests("nango"))


def test_what_cannot_be_used_is_shown_to_operators_as_long_as_it_is_there(sandbox):
    sandbox.seed(integration="acme", connection_id="caf\u00e9")
    browser = browser_of(make_operator())
    path = "/admin/integrations/strangeconnection/"
    for _ in range(2):
        reconcile_connections(now=timezone.now())
    assert "Unusable connections" in browser.get("/admin/").content.decode()
    shown = browser.get(path).content.decode()
    assert ("caf\u00e9" in shown, "no route of Nango&#x27;s finds it" in shown) == (True, True)

    sandbox.control("DELETE", "/nango/connections/acme/caf%C3%A9")
    reconcile_connections(now=timezone.now())
    assert "Unusable connections" not in browser.get("/admin/").content.decode()


def test_one_strange_integration_never_breaks_their_list(alice_api, sandbox):
    good = {"unique_key": "acme", "provider": "private-api-generic", "display_name": None, "logo": None}
    body = {"data": [{"unique_key": "x"}, good]}
    sandbox.faults(target="nango", match="GET /integrations", body=body)

    assert [item["id"] for item in alice_api.get("/api/integrations").json()["data"]] == ["acme"]


def test_a_webhook_that_comes_while_nango_cannot_be_asked_is_made_up_for(alice, connect, send, sandbox):
    connect(alice, connection_id="main")
    sandbox.faults(target="nango", match="GET /connections", status=429, headers={"Retry-After": "30"})
    before = timezone.now()

    assert send(event(alice)).status_code == 503
    (job,) = ProcrastinateJob.objects.filter(task_name="integrations.reconcile")
    assert 28 <= (job.scheduled_at - before).total_seconds() <= 33


def test_a_person_who_said_no_changes_nothing(alice, send):
    own(alice, "main")
    denied = event(None, success=False, operation="creation")
    del denied["tags"]

    assert send(denied).json() == {"data": {"status": "ignored"}}
    row = Connection.objects.get()
    assert (row.needs_reconnect, row.missing_since, row.state) == (False, None, Connection.State.ACTIVE)
