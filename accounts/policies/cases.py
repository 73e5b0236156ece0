"""What the policies have to answer before they are taken: nobody is served by policies that fail one of these.

Each policy of `base.cedar` is needed by one of them. Those that hold `always` hold whatever an operator's own policies
add: what is separated stays so, and nobody can shut the operators out.
"""

import uuid
from dataclasses import dataclass, replace
from typing import Final

from accounts.policies.asking import THE_SERVER, Resource, Subject
from accounts.principals import Kind, Proof


@dataclass(frozen=True, slots=True)
class Case:
    """A question and its answer; `by` is a policy that has to be among those that decide."""

    name: str
    subject: Subject
    action: str
    resource: Resource
    allowed: bool
    by: str = ""
    always: bool = False


def _id(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


_ORG, _OTHER_ORG, _ALICE, _BOB, _KEY, _THING = map(_id, range(1, 7))

ALICE: Final = Subject(id=_ALICE, proof=Proof.ACCESS_TOKEN, organization_id=_ORG, role="member")
STRANGER: Final = Subject(id=_BOB, proof=Proof.ACCESS_TOKEN, organization_id=_OTHER_ORG, role="owner")
IN_BROWSER: Final = Subject(id=_BOB)
OPERATOR: Final = Subject(id=_ALICE, is_operator=True)
SUPERUSER: Final = Subject(id=_ALICE, is_operator=True, is_superuser=True)
WORKER: Final = Subject(id=_KEY, kind=Kind.WORKER, proof=Proof.WORKER_KEY, organization_id=_ORG, role="worker")

ORG: Final = Resource(type="Org", id=_ORG)
APP: Final = Resource(type="Deployment", id=_THING, organization_id=_ORG, maker_id=_BOB)
WORKSPACE: Final = Resource(type="Workspace", id=_THING, organization_id=_ORG, maker_id=_BOB)
CONNECTION: Final = Resource(type="Connection", id=_THING, organization_id=_ORG, maker_id=_BOB)
INTEGRATION: Final = Resource(type="Integration", id="acme")
KEY: Final = Resource(type="ApiKey", id=_THING, maker_id=_ALICE)
PERSON: Final = Resource(type="User", id=_BOB)


def _in(role: str) -> Subject:
    return replace(ALICE, role=role)


def _with(*scopes: str, proof: str = Proof.ACCESS_TOKEN) -> Subject:
    return replace(ALICE, scopes=frozenset(scopes), proof=proof)


_MINE = replace(APP, maker_id=_ALICE)
_MY_WORKSPACE = replace(WORKSPACE, maker_id=_ALICE)
_MY_CONNECTION = replace(CONNECTION, maker_id=_ALICE)
_SHARED = replace(CONNECTION, is_shared=True)
_AS_MEMBER, _AS_OWNER = replace(WORKSPACE, role="member"), replace(WORKSPACE, role="owner")
_API_KEY = replace(ALICE, proof=Proof.API_KEY)
_ALL_SUSPENDED = replace(SUPERUSER, is_active=False)

CASES: Final = [
    # The door.
    Case("whoever is let in may ask", ALICE, "workspaces.destroy", THE_SERVER, True, "ask-at-the-door"),
    Case("a worker may ask", WORKER, "integrations.view", THE_SERVER, True, "ask-at-the-door"),
    Case("people answer offers", ALICE, "offers.answer", THE_SERVER, True, "people-have-accounts"),
    Case("a worker answers no offers", WORKER, "offers.answer", THE_SERVER, False),
    Case("any credential ends itself", _with(), "session.end", THE_SERVER, True, "ask-at-the-door"),
    # One's own account.
    Case("people see their account", ALICE, "account.view", replace(PERSON, id=_ALICE), True, "own-account"),
    Case("nobody sees another's account", ALICE, "account.view", PERSON, False, always=True),
    Case("people revoke their keys", ALICE, "keys.revoke", KEY, True, "own-keys-and-logins"),
    Case("nobody revokes another's key", STRANGER, "keys.revoke", KEY, False, always=True),
    # Organizations.
    Case("everybody sees the catalog", WORKER, "integrations.view", INTEGRATION, True, "catalog-for-all"),
    Case("a member sees the organization", ALICE, "orgs.view", ORG, True, "members-belong"),
    Case("a stranger doesn't", STRANGER, "orgs.view", ORG, False, always=True),
    Case("a member creates", ALICE, "deployments.create", ORG, True, "members-create"),
    Case("a worker doesn't", WORKER, "deployments.create", ORG, False),
    Case("a member sees an app", ALICE, "deployments.read-logs", APP, True, "members-see"),
    Case("a member does not push to it", ALICE, "deployments.push", APP, False),
    Case("an admin does", _in("admin"), "deployments.push", APP, True, "admins-manage"),
    Case("an admin stops a workspace", _in("admin"), "workspaces.stop", WORKSPACE, True, "admins-manage"),
    Case("an admin does not enter it", _in("admin"), "workspaces.read-key", WORKSPACE, False),
    Case("an admin does not destroy it", _in("admin"), "workspaces.destroy", WORKSPACE, False),
    Case("an owner does", _in("owner"), "workspaces.destroy", WORKSPACE, True, "owners-decide-for-good"),
    Case("an owner does not enter it", _in("owner"), "workspaces.read-key", WORKSPACE, False),
    Case("an admin manages members", _in("admin"), "orgs.manage-members", ORG, True, "admins-organize"),
    Case("a member doesn't", ALICE, "orgs.manage-members", ORG, False),
    Case("an owner deletes the organization", _in("owner"), "orgs.delete", ORG, True, "owners-govern"),
    Case("an admin doesn't", _in("admin"), "orgs.delete", ORG, False),
    Case("a stranger sees no app", STRANGER, "deployments.view", replace(APP, maker_id=_ALICE), False, always=True),
    # Makers, and members of a workspace.
    Case("a maker pushes", ALICE, "deployments.push", _MINE, True, "makers"),
    Case("a maker destroys their workspace", ALICE, "workspaces.destroy", _MY_WORKSPACE, True, "makers"),
    Case("a workspace's member enters it", STRANGER, "workspaces.open", _AS_MEMBER, True, "workspace-members"),
    Case("a workspace's member does not share it", ALICE, "workspaces.share", _AS_MEMBER, False),
    Case("a workspace's owner shares it", ALICE, "workspaces.share", _AS_OWNER, True, "workspace-owners"),
    Case("somebody else sees nothing", IN_BROWSER, "deployments.view", _MINE, False, always=True),
    Case("somebody else enters nothing", IN_BROWSER, "workspaces.open", _MY_WORKSPACE, False, always=True),
    # Connected accounts.
    Case("a connection is its maker's", ALICE, "connections.use", _MY_CONNECTION, True, "own-connections"),
    Case("it is not an owner's", _in("owner"), "connections.use", CONNECTION, False, always=True),
    Case("a shared one is everybody's", ALICE, "connections.use", _SHARED, True, "shared-connections"),
    Case("a worker uses a shared one", WORKER, "connections.use", _SHARED, True, "shared-connections"),
    Case("a member deletes no shared one", ALICE, "connections.delete", _SHARED, False),
    Case("an admin does", _in("admin"), "connections.delete", _SHARED, True, "admins-manage-shared-connections"),
    # Operators.
    Case("an operator operates", OPERATOR, "admin.view", THE_SERVER, True, "operators-operate", always=True),
    Case("nobody else does", ALICE, "admin.view", THE_SERVER, False, always=True),
    Case(
        "a superuser does more", SUPERUSER, "admin.change-person", THE_SERVER, True, "superusers-operate", always=True
    ),
    Case("an operator does not", OPERATOR, "admin.change-person", THE_SERVER, False, always=True),
    Case("an operator acts on people", OPERATOR, "admin.have-power", PERSON, True, "operators-have-power-over-people"),
    Case("not on operators", OPERATOR, "admin.have-power", replace(PERSON, is_operator=True), False, always=True),
    Case(
        "a superuser acts on operators",
        SUPERUSER,
        "admin.have-power",
        replace(PERSON, is_operator=True),
        True,
        "superusers-have-power-over-all",
        always=True,
    ),
    # What nothing overrides.
    Case("who is suspended does nothing", _ALL_SUSPENDED, "admin.view", THE_SERVER, False, "suspended-person", True),
    Case(
        "nothing of a suspended organization is touched",
        ALICE,
        "deployments.push",
        replace(_MINE, is_suspended=True),
        False,
        "suspended-organization",
        always=True,
    ),
    Case(
        "a narrowed credential does not what it leaves out",
        _with("deployments:read"),
        "deployments.push",
        _MINE,
        False,
        "narrowed-credential",
        always=True,
    ),
    Case("it does what it says", _with("deployments:write"), "deployments.push", _MINE, True, "makers"),
    Case("no scope reaches one's account", _with("orgs:admin"), "keys.create", THE_SERVER, False, always=True),
    Case(
        "a credential is for one organization",
        STRANGER,
        "deployments.push",
        replace(APP, maker_id=_BOB),
        False,
        "another-organization",
        always=True,
    ),
    Case(
        "also when it is about the organization",
        STRANGER,
        "orgs.manage-members",
        replace(ORG, role="owner"),
        False,
        "another-organization-itself",
        always=True,
    ),
    Case("a key makes no keys", _API_KEY, "keys.create", THE_SERVER, False, "keys-manage-no-access", always=True),
    Case(
        "nor does it add members",
        replace(_API_KEY, role="owner"),
        "orgs.manage-members",
        ORG,
        False,
        "keys-manage-no-access",
        always=True,
    ),
    Case("nor does it approve logins", _API_KEY, "logins.approve", THE_SERVER, False, "keys-manage-no-access", True),
]
