"""Who may do what: every action, asked by everybody about the thing it is done to.

The thing is dana's, in the organization "ours". Each line has the letters of those who may.

S  an owner of another organization, by a token for it    B  somebody else in a browser
m a o  a member, an admin, an owner of ours, by tokens     k  dana, a member of ours, by a token
M  dana, by a token for another organization of hers
w W  a member and an owner of the workspace itself, by tokens for another organization
K  a worker key of ours    x  dana's API key    n  dana's token, narrowed to the action's scope
z  dana's token, narrowed to nothing    P U  an operator and a superuser in a browser
"""

import uuid
from dataclasses import replace

from accounts.policies.actions import ACTIONS
from accounts.policies.asking import THE_SERVER, Resource, Subject
from accounts.principals import Kind, Proof

OURS, THEIRS, DANA, OTHER, KEY, THING = (uuid.UUID(int=number) for number in range(101, 107))
EVERYBODY = "SBmaokMwWKxnzPU"

_PEOPLE_AT_THE_DOOR = "SBmaokMwWPU"

MAY = {
    "session.end": EVERYBODY,
    "session.userinfo": EVERYBODY,
    "session.token": EVERYBODY,
    "account.view": "kM",
    "account.change": "kM",
    "account.sign-out-everywhere": "kM",
    "logins.view": "kM",
    "logins.end": "kM",
    "logins.approve": "kM",
    "keys.view": "kM",
    "keys.create": "kM",
    "keys.revoke": "kM",
    "offers.view": _PEOPLE_AT_THE_DOOR + "nx",
    "offers.answer": _PEOPLE_AT_THE_DOOR + "nx",
    "invitations.view": _PEOPLE_AT_THE_DOOR + "nx",
    "invitations.answer": _PEOPLE_AT_THE_DOOR + "n",
    "orgs.create": _PEOPLE_AT_THE_DOOR + "nx",
    "orgs.view": "maokxn",
    "orgs.leave": "maokn",
    "orgs.update": "ao",
    "orgs.manage-members": "ao",
    "orgs.manage-keys": "ao",
    "orgs.transfer": "o",
    "orgs.delete": "o",
    "integrations.view": "SBmaokMwWKxnPU",
    "connections.create": "maokxn",
    "connections.view": "kxn",
    "connections.use": "kxn",
    "connections.update": "kxn",
    "connections.delete": "kxn",
    "tools.call": "kxn",
    "deployments.create": "maokxn",
    "deployments.view": "maokxn",
    "deployments.read-logs": "maokxn",
    "deployments.push": "aokxn",
    "deployments.cancel": "aokxn",
    "deployments.redeploy": "aokxn",
    "deployments.destroy": "aokxn",
    "workspaces.create": "maokxn",
    "workspaces.view": "maokwWxn",
    "workspaces.start": "aokwWxn",
    "workspaces.stop": "aokwWxn",
    "workspaces.open": "wW",
    "workspaces.read-key": "wW",
    "workspaces.make-token": "wW",
    "workspaces.leave": "wW",
    "cron.view": "wW",
    "cron.create": "wW",
    "cron.change": "wW",
    "cron.delete": "wW",
    "workspaces.try-again": "aokWxn",
    "workspaces.keep-alive": "aokWxn",
    "workspaces.share": "aokWxn",
    "workspaces.revoke-token": "aokWxn",
    "workspaces.transfer": "okWxn",
    "workspaces.destroy": "okWxn",
    "admin.view": "PU",
    "admin.explain": "PU",
    "admin.have-power": "PU",
    "admin.change-own-password": "PU",
    "admin.suspend-person": "PU",
    "admin.restore-person": "PU",
    "admin.approve-person": "PU",
    "admin.restore-leaver": "PU",
    "admin.keep-leaver": "PU",
    "admin.ask-about-leaver": "PU",
    "admin.sign-out-person": "PU",
    "admin.suspend-organization": "PU",
    "admin.restore-organization": "PU",
    "admin.revoke-token": "PU",
    "admin.revoke-key": "PU",
    "admin.start-workspace": "PU",
    "admin.stop-workspace": "PU",
    "admin.destroy-workspace": "PU",
    "admin.revoke-webhook-token": "PU",
    "admin.set-idle-policy": "PU",
    "admin.destroy-app": "PU",
    "admin.cancel-build": "PU",
    "admin.redeploy-build": "PU",
    "admin.transfer-workspace": "U",
    "admin.add-person": "U",
    "admin.change-person": "U",
    "admin.set-password": "U",
}
# The same of a connection, and of a tool of it, that is shared in ours.
MAY_IF_SHARED = {
    "connections.view": "maokKxn",
    "connections.use": "maokKxn",
    "connections.update": "aokxn",
    "connections.delete": "aokxn",
    "tools.call": "maokKxn",
}
# At the door it is not known yet what it is about: whoever may do it to anything comes in.
AT_THE_DOOR = {
    "account": _PEOPLE_AT_THE_DOOR,
    "organize": "SBmaokMwWPUn",
    "govern-organization": "SBmaokMwWPUn",
    "operate": "PU",
    "superuse": "U",
}
_OTHERS_AT_THE_DOOR = "SBmaokMwWKxnPU"


def subject(letter: str, action: str) -> Subject:
    """Who the letter stands for."""
    dana = Subject(id=DANA, proof=Proof.ACCESS_TOKEN, organization_id=OURS, role="member")
    member = replace(dana, id=OTHER)
    scope = ACTIONS[action].scope
    return {
        "S": replace(member, organization_id=THEIRS, role="owner"),
        "B": Subject(id=OTHER),
        "m": member,
        "a": replace(member, role="admin"),
        "o": replace(member, role="owner"),
        "k": dana,
        "M": replace(dana, organization_id=THEIRS, role="owner"),
        "w": replace(member, organization_id=THEIRS, role="owner"),
        "W": replace(member, organization_id=THEIRS, role="owner"),
        "K": Subject(id=KEY, kind=Kind.WORKER, proof=Proof.WORKER_KEY, organization_id=OURS, role="worker"),
        "x": replace(dana, proof=Proof.API_KEY),
        "n": replace(dana, scopes=frozenset({scope} if scope else {"orgs:admin"})),
        "z": replace(dana, scopes=frozenset()),
        "P": Subject(id=OTHER, is_operator=True),
        "U": Subject(id=OTHER, is_operator=True, is_superuser=True),
    }[letter]


def thing(letter: str, action: str, *, is_shared: bool = False) -> Resource:
    """What the action is done to, as the row says it to whom the letter stands for."""
    on = ACTIONS[action].on
    if on == "Server":
        return THE_SERVER
    if on in {"User", "Org"}:
        return Resource(type=on, id=DANA if on == "User" else OURS)
    role = {"w": "member", "W": "owner"}.get(letter, "") if on == "Workspace" else ""
    return Resource(type=on, id=THING, organization_id=OURS, maker_id=DANA, role=role, is_shared=is_shared)


def at_the_door(action: str) -> str:
    """The letters of those who are let in with this action."""
    if ACTIONS[action].on == "Server":
        return MAY[action]
    if action == "orgs.update":
        return "SBmaokMwWKxnPU"
    if action == "orgs.leave":
        return "SBmaokMwWnPU"
    return AT_THE_DOOR.get(ACTIONS[action].group, _OTHERS_AT_THE_DOOR)
