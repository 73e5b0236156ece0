"""manage.py explain, and the operators' page: who may do what, and why."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Membership, Organization, User
from tests.clouddev.builders import add_member, make_machine
from tests.conftest import make_person
from tests.deployments.builders import make_deployment
from tests.operators import browser_of, connection_of, make_operator

pytestmark = pytest.mark.django_db


def explained(*words: str) -> list[str]:
    out = StringIO()
    call_command("explain", *words, stdout=out)
    return out.getvalue().splitlines()


def test_it_says_who_may_and_why(alice, sandbox):
    make_machine(alice, "studio")
    assert explained("alice", "workspaces.stop", "workspace:alice/studio") == [
        "Allowed: alice workspaces.stop workspace:alice/studio",
        "At the door: allowed by ask-at-the-door",
        "  Whoever was recognised may ask; what it is about is decided once it is known.",
        "About workspace:alice/studio: allowed by makers, workspace-members",
        "  Whoever made an app or a workspace manages it.",
        "  Members of a workspace see it, start and stop it, and work on it.",
    ]


def test_it_says_that_nothing_permits_it(alice, bob, sandbox):
    make_machine(alice, "studio")
    assert explained("bob", "workspaces.stop", "workspace:alice/studio")[0::3] == [
        "Refused: bob workspaces.stop workspace:alice/studio",
        "About workspace:alice/studio: refused by no policy",
    ]


def test_it_asks_with_a_narrowed_credential_of_an_organization(alice, sandbox):
    shop = make_deployment(alice, "shop")
    words = ("alice@example.com", "deployments.push", f"app:{shop.pk}", "--org", shop.organization.slug)
    assert explained(*words, "--scope", "deployments:read")[1] == "At the door: refused by narrowed-credential"
    assert explained(*words, "--scope", "deployments:write")[0].startswith("Allowed")
    assert explained("alice", "keys.create", "server", "--proof", "api_key", "--org", shop.organization.slug)[1:] == [
        "At the door: refused by keys-manage-no-access",
        "  A key may not manage keys, members or logins. Sign in, and do it yourself.",
    ]


def test_it_knows_the_roles_of_a_workspace_and_of_an_organization(alice, bob, sandbox):
    machine = make_machine(alice, "studio")
    add_member(machine, bob, "member")
    assert explained("bob", "workspaces.open", f"workspace:{machine.pk}")[0].startswith("Allowed")
    assert explained("bob", "workspaces.share", f"workspace:{machine.pk}")[0].startswith("Refused")
    shared = Organization.objects.create(name="Team", slug="team")
    Membership.objects.create(organization=shared, user=bob, role="admin")
    assert explained("bob", "orgs.manage-members", "org:team")[0].startswith("Allowed")
    assert explained("alice", "orgs.manage-members", "org:team")[0].startswith("Refused")


def test_it_knows_who_and_what_is_suspended(alice, sandbox):
    shop = make_deployment(alice, "shop")
    Organization.objects.filter(pk=shop.organization_id).update(suspended_at=timezone.now())
    assert explained("alice", "deployments.view", "app:alice/shop")[3] == (
        "About app:alice/shop: refused by suspended-organization"
    )
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert explained("alice", "account.view")[1] == "At the door: refused by suspended-person"


def test_it_knows_connections_integrations_logins_and_people(alice, bob):
    connection_of(alice, "acme", connection_id="main")
    assert explained("alice", "connections.use", "connection:acme/main")[0].startswith("Allowed")
    assert explained("bob", "connections.use", "connection:acme/main")[0].startswith("Refused")
    assert explained("bob", "integrations.view", "integration:acme")[0].startswith("Allowed")
    operator = make_operator(superuser=False)
    assert explained("operator", "admin.have-power", "person:alice") == [
        "Allowed: operator admin.have-power person:alice",
        "About person:alice: allowed by operators-have-power-over-people",
        "  Operators act on people who are no operators, and on themselves.",
    ]
    assert explained("bob", "admin.have-power", f"person:{operator.pk}")[0].startswith("Refused")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody", "workspaces.view"], "There is nobody called “nobody”"),
        (["alice", "no.such"], "There is no action “no.such”"),
        (["alice", "workspaces.view", "planet:mars"], "Say server, or one of "),
        (["alice", "workspaces.view", "workspace:alice/none"], "There is no workspace:alice/none."),
        (["alice", "workspaces.view", "org:none"], "There is no org:none."),
        (["alice", "workspaces.view", "login:none"], "There is no login:none."),
        (["alice", "deployments.view", "person:alice"], "deployments.view is done to a Deployment, not to a User."),
        (["alice", "deployments.view", "server", "--org", "none"], "There is no organization “none”."),
        (["alice", "deployments.view", "server", "--org", "bob"], "alice is no member of bob"),
        (["alice"], "Say who and what"),
        ([], "Say who and what"),
    ],
)
def test_it_says_what_is_wrong_with_the_question(alice, bob, words, sentence):
    words = [bob.personal_organization.slug if word == "bob" else word for word in words]
    sentence = sentence.replace("alice is no member of bob", f"Alice is no member of {bob.personal_organization.slug}")
    with pytest.raises(CommandError) as caught:
        explained(*words)
    assert sentence in str(caught.value)


def test_it_lists_actions_and_prints_the_schema():
    assert any(
        line.split()[:3] == ["workspaces.stop", "Workspace", "workspaces:write"] for line in explained("--actions")
    )
    assert any("entity Workspace" in line for line in explained("--schema"))


def test_two_people_of_one_address_are_told_apart_by_their_ids(alice):
    make_person("bob")
    User.objects.filter(username="bob").update(email=alice.email)
    with pytest.raises(CommandError, match="More than one"):
        explained(alice.email, "account.view")
    assert explained(str(alice.pk), "account.view")[0].startswith("Allowed")


# --- the operators' page ------------------------------------------------------------------------


def test_the_page_answers_what_its_address_asks(alice, sandbox):
    make_machine(alice, "studio")
    browser = browser_of(make_operator(superuser=False))
    asked = {"person": "alice", "action": "workspaces.destroy", "thing": "workspace:alice/studio"}
    page = browser.get("/admin/explain/", asked).content.decode()
    assert "<h2>Allowed</h2>" in page
    assert "makers, workspace-owners" in page
    page = browser.get("/admin/explain/", {**asked, "scopes": "workspaces:read"}).content.decode()
    assert "<h2>Refused</h2>" in page
    assert "narrowed-credential" in page


@pytest.mark.parametrize(
    "asked",
    [
        {"person": "nobody", "action": "workspaces.view"},
        {"person": "alice", "action": "workspaces.view", "scopes": "everything"},
        {"person": "alice", "action": "no.such"},
        {"person": "", "action": "workspaces.view"},
        {"person": "alice\0", "action": "workspaces.view"},
    ],
)
def test_the_page_says_what_is_wrong_with_the_question(alice, asked):
    answer = browser_of(make_operator()).get("/admin/explain/", asked)
    assert answer.status_code in {200, 400}
    assert "<h2>Allowed</h2>" not in answer.content.decode()


def test_the_page_is_in_the_menu_of_the_operators_pages():
    assert "/admin/explain/" in browser_of(make_operator()).get("/admin/").content.decode()
