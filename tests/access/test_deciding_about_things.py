"""What was found is decided about by policies: what they don't allow looks absent, and the audit trail names them."""

import pytest

from accounts.models import AuditEvent
from accounts.policies import engine
from tests.clouddev.builders import add_member, make_machine
from tests.deployments.builders import make_deployment
from tests.operators import browser_of

pytestmark = pytest.mark.django_db

ABSENT = {"error": "You have no workspace of this name. Create it first."}


@pytest.fixture
def policy(settings, tmp_path, monkeypatch):
    """Puts a policy of an operator's in force."""
    monkeypatch.setattr(engine, "_state", engine._State())
    settings.POLICIES_DIR = str(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "own.cedar").write_text(f'@id("own") {text}')

    return write


def test_what_a_policy_forbids_of_one_workspace_looks_absent(alice, alice_api, sandbox, policy):
    make_machine(alice, "studio")
    closed = make_machine(alice, "closed")
    policy(f'forbid (principal, action, resource == Workspace::"{closed.pk}");')
    assert alice_api.get("/api/cloud-dev/ssh-key", appName="studio").status_code == 200
    answer = alice_api.get("/api/cloud-dev/ssh-key", appName="closed")
    assert (answer.status_code, answer.json()) == (404, ABSENT)
    assert alice_api.get("/api/cloud-dev/status", appName="closed").json() == {
        "data": {"status": "not_found", "url": None}
    }
    assert browser_of(alice).get(f"/workspaces/{closed.pk}/").status_code == 404
    assert browser_of(alice).post(f"/workspaces/{closed.pk}/stop").status_code == 404


def test_what_a_policy_forbids_of_one_app_looks_absent(alice, alice_api, policy):
    shop = make_deployment(alice, "shop")
    policy(f'forbid (principal, action, resource == Deployment::"{shop.pk}");')
    assert alice_api.get("/api/deploy/builds", appName="shop").status_code == 404
    assert alice_api.post("/api/deploy/cancel", {"appName": "shop"}).status_code == 404
    assert browser_of(alice).get(f"/deployments/{shop.pk}/").status_code == 404


def test_each_member_of_a_workspace_has_their_own_role(alice, bob, charlie, sandbox):
    """Whatever the order of rows, nobody is decided about by somebody else's."""
    machine = make_machine(alice, "studio")
    add_member(machine, bob, "member")
    add_member(machine, charlie, "owner")
    address = f"/workspaces/{machine.pk}"
    statuses = {
        person.username: [
            browser_of(person).get(f"{address}/").status_code,
            browser_of(person).post(f"{address}/keep-alive", {"hours": "1"}).status_code,
        ]
        for person in (alice, bob, charlie)
    }
    assert statuses == {"alice": [200, 302], "bob": [200, 404], "charlie": [200, 302]}


def test_the_audit_trail_names_what_allowed_it(alice, bob, bob_api, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    add_member(machine, bob, "member")
    assert bob_api.post("/api/cloud-dev/stop", {"appName": "studio"}).status_code == 200
    stopped = AuditEvent.objects.filter(action="machine.stopped").values_list("actor_label", "policies")
    assert list(stopped) == [("Bob", "workspace-members")]
