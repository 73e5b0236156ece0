"""A credential for one organization reaches no connection of another, and policies decide about each connection."""

import pytest
from django.utils import timezone

from accounts.policies import engine
from accounts.services import api_keys
from integrations.models import Connection
from tests.accounts.organization_builders import make_organization
from tests.conftest import APIClient
from tests.deployments.builders import make_deployment
from tests.integrations.conftest import at_nango, credentials, own

pytestmark = pytest.mark.django_db
LIST = "/api/integrations/acme/connections"
SESSION, CREATE, DELETE = "/api/nango/connect-session", "/api/connections/create", "/api/connections/delete"
NOT_FOUND = {"error": "Connection not found"}


@pytest.fixture
def team(alice):
    return make_organization(alice, "team")


@pytest.fixture
def team_api(alice, team):
    """What alice gave a tool that is to act in the team."""
    wanted = api_keys.WantedKey(name="CI")
    return APIClient(api_keys.issue(by=alice, organization_id=team.pk, wanted=wanted, now=timezone.now()).plain)


@pytest.fixture
def of_team(alice, team, connect):
    connection_id = connect(alice)
    own(alice, connection_id)
    Connection.objects.update(organization=team)
    return connection_id


@pytest.fixture
def policy(settings, tmp_path, monkeypatch):
    def write(text):
        (tmp_path / "own.cedar").write_text(f'@id("own") {text}')
        settings.POLICIES_DIR = str(tmp_path)
        monkeypatch.setattr(engine, "_state", engine._State())

    return write


def address(connection_id):
    return {"integration_id": "acme", "connection_id": connection_id}


@pytest.mark.parametrize("seconds", [0, 60])
def test_another_organizations_credentials_are_not_handed_out(alice_api, team_api, of_team, settings, seconds):
    settings.CREDENTIALS_CACHE_SECONDS = seconds
    assert credentials(team_api, of_team).status_code == 200
    answer = credentials(alice_api, of_team)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_another_organizations_are_not_listed_deleted_renewed_or_replaced(alice_api, team_api, of_team, sandbox):
    new = address(of_team) | {"credentials": {"type": "API_KEY", "apiKey": "stolen"}}
    assert [item["connection_id"] for item in team_api.get(LIST).json()["data"]] == [of_team]
    assert alice_api.get(LIST).json()["data"] == []
    assert alice_api.post(DELETE, address(of_team)).json() == NOT_FOUND
    assert alice_api.post(SESSION, address(of_team)).json() == NOT_FOUND
    assert alice_api.post(CREATE, new).status_code == 409
    assert at_nango(sandbox, of_team)["credentials"]["apiKey"] == "sandbox-acme-key"


def test_what_is_found_at_nango_belongs_to_the_organization_of_its_tags(alice, alice_api, team, team_api, sandbox):
    tags = {"end_user_id": str(alice.pk), "organization_id": str(team.pk)}
    (connection_id,) = sandbox.seed(integration="acme", tags=tags)
    assert credentials(alice_api, connection_id).json() == NOT_FOUND
    assert alice_api.get(LIST).json()["data"] == []
    assert Connection.objects.get().organization == team
    assert credentials(team_api, connection_id).status_code == 200


@pytest.mark.parametrize("seconds", [0, 60])
def test_what_a_policy_forbids_to_use_is_not_handed_out(alice_api, alice, connect, settings, policy, seconds):
    settings.CREDENTIALS_CACHE_SECONDS = seconds
    closed, open_ = connect(alice), connect(alice)
    assert credentials(alice_api, closed).status_code == 200
    pk = Connection.objects.get(connection_id=closed).pk
    policy(f'forbid (principal, action == Action::"connections.use", resource == Connection::"{pk}");')
    assert credentials(alice_api, closed).json() == NOT_FOUND
    assert credentials(alice_api, open_).status_code == 200


def test_what_a_policy_forbids_to_make_is_not_made(alice, alice_api, policy, sandbox):
    link = alice_api.post(SESSION, {"integration_id": "acme"}).json()["data"]["token"]
    org = alice.personal_organization.pk
    policy(f'forbid (principal, action == Action::"connections.create", resource == Org::"{org}");')
    new = address("main") | {"credentials": {"type": "API_KEY", "apiKey": "new"}}
    assert alice_api.post(CREATE, new).status_code == 403
    assert alice_api.post(SESSION, {"integration_id": "acme"}).status_code == 403
    browser = APIClient()._client
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/connect/", {"link": link}).status_code == 404


def test_another_organizations_apps_have_no_status_and_no_logs(alice, alice_api, team, team_api):
    make_deployment(alice, "shop", organization=team)
    assert team_api.get("/api/deploy/status", appName="shop").json()["data"]["status"] == "idle"
    assert alice_api.get("/api/deploy/status", appName="shop").json()["data"]["status"] == "not_found"
    assert team_api.get("/api/deploy/logs", appName="shop").status_code == 200
    assert alice_api.get("/api/deploy/logs", appName="shop").status_code == 404
