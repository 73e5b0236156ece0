"""Everything that can be done on this server: one registry for pages, the API, the operators' site and tools.

A route names one of these (`core/actions.py`), and a policy speaks of them by name or by group (`base.cedar`). The
groups say of what kind an action is; the policies say who may do which kind to what.
"""

from dataclasses import dataclass
from enum import StrEnum

from accounts.principals import SCOPES

SERVER = "Server"


class Group(StrEnum):
    """Kinds of actions, as policies name them: `action in Action::"see"`."""

    SESSION = "session"
    ACCOUNT = "account"
    ANSWER = "answer"
    FOUND = "found"
    CATALOG = "catalog"
    CREATE = "create"
    SEE = "see"
    RUN = "run"
    MANAGE = "manage"
    ENTER = "enter"
    OWN = "own"
    CONNECTED = "connected"
    CALL = "call"
    BELONG = "belong"
    ORGANIZE = "organize"
    GOVERN_ORGANIZATION = "govern-organization"
    OPERATE = "operate"
    SUPERUSE = "superuse"


MEANINGS = {
    Group.SESSION: "about the credential itself, open to each one that works",
    Group.ACCOUNT: "a person's own account, keys and logins",
    Group.ANSWER: "what somebody was asked: offers and invitations",
    Group.FOUND: "making an organization",
    Group.CATALOG: "what this server can connect",
    Group.CREATE: "making something in an organization",
    Group.SEE: "looking at what an organization has",
    Group.RUN: "starting and stopping",
    Group.MANAGE: "changing what an organization has",
    Group.ENTER: "working on a workspace, with its keys and tokens",
    Group.OWN: "giving away or destroying for good",
    Group.CONNECTED: "connected accounts",
    Group.CALL: "calling tools",
    Group.BELONG: "being a member of an organization",
    Group.ORGANIZE: "an organization's members, invitations and keys",
    Group.GOVERN_ORGANIZATION: "giving an organization away or deleting it",
    Group.OPERATE: "operating this server",
    Group.SUPERUSE: "operating this server, for superusers",
}


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done. `sentence` ends "Whoever may …"; `on` is what it is done to, a type of `schema.cedarschema`.

    A credential that was narrowed reaches it only with `scope`; without one it doesn't, but for the group SESSION.
    """

    name: str
    group: Group
    on: str
    scope: str | None
    sentence: str


_CONNECTIONS_READ, _CONNECTIONS_USE, _CONNECTIONS_WRITE = "connections:read", "connections:use", "connections:write"
_DEPLOYMENTS_READ, _DEPLOYMENTS_WRITE = "deployments:read", "deployments:write"
_WORKSPACES_READ, _WORKSPACES_WRITE = "workspaces:read", "workspaces:write"

_ALL = (
    Action("session.end", Group.SESSION, SERVER, None, "end the login that they ask with"),
    Action("session.userinfo", Group.SESSION, SERVER, None, "be told who they are"),
    Action("session.token", Group.SESSION, SERVER, None, "get a token that other services verify"),
    Action("account.view", Group.ACCOUNT, "User", None, "see their account"),
    Action("account.change", Group.ACCOUNT, "User", None, "change their account"),
    Action("account.sign-out-everywhere", Group.ACCOUNT, "User", None, "sign out all their apps and browsers"),
    Action("logins.view", Group.ACCOUNT, "Login", None, "see their signed-in apps and browsers"),
    Action("logins.end", Group.ACCOUNT, "Login", None, "sign out one of their apps or browsers"),
    Action("logins.approve", Group.ACCOUNT, "Login", None, "let a tool act for them"),
    Action("keys.view", Group.ACCOUNT, "ApiKey", None, "see their API keys"),
    Action("keys.create", Group.ACCOUNT, "ApiKey", None, "make an API key"),
    Action("keys.revoke", Group.ACCOUNT, "ApiKey", None, "revoke an API key"),
    Action("offers.view", Group.ANSWER, SERVER, _WORKSPACES_READ, "see which workspaces are offered to them"),
    Action("offers.answer", Group.ANSWER, SERVER, _WORKSPACES_WRITE, "accept or decline a workspace"),
    Action("invitations.view", Group.ANSWER, SERVER, "orgs:read", "see what they are invited to"),
    Action("invitations.answer", Group.ANSWER, SERVER, "orgs:admin", "accept or decline an invitation"),
    Action("orgs.create", Group.FOUND, SERVER, "orgs:admin", "make an organization"),
    Action("orgs.view", Group.BELONG, "Org", "orgs:read", "see an organization and its members"),
    Action("orgs.leave", Group.BELONG, "Org", "orgs:admin", "leave an organization"),
    Action("orgs.update", Group.ORGANIZE, "Org", "orgs:admin", "change an organization"),
    Action("orgs.manage-members", Group.ORGANIZE, "Org", "orgs:admin", "invite, change and remove members"),
    Action("orgs.manage-keys", Group.ORGANIZE, "Org", "orgs:admin", "make and revoke an organization's keys"),
    Action("orgs.transfer", Group.GOVERN_ORGANIZATION, "Org", "orgs:admin", "make somebody else its owner"),
    Action("orgs.delete", Group.GOVERN_ORGANIZATION, "Org", "orgs:admin", "delete an organization"),
    Action("integrations.view", Group.CATALOG, "Integration", _CONNECTIONS_READ, "see what can be connected"),
    Action("connections.create", Group.CREATE, "Org", _CONNECTIONS_WRITE, "connect an account"),
    Action("connections.view", Group.CONNECTED, "Connection", _CONNECTIONS_READ, "see a connection"),
    Action("connections.use", Group.CONNECTED, "Connection", _CONNECTIONS_USE, "use a connection's credentials"),
    Action("connections.update", Group.CONNECTED, "Connection", _CONNECTIONS_WRITE, "renew a connection"),
    Action("connections.delete", Group.CONNECTED, "Connection", _CONNECTIONS_WRITE, "delete a connection"),
    Action("tools.call", Group.CALL, "Tool", "tools:use", "call a tool of a connected account"),
    Action("deployments.create", Group.CREATE, "Org", _DEPLOYMENTS_WRITE, "make an app"),
    Action("deployments.view", Group.SEE, "Deployment", _DEPLOYMENTS_READ, "see an app and its builds"),
    Action("deployments.read-logs", Group.SEE, "Deployment", _DEPLOYMENTS_READ, "read an app's logs"),
    Action("deployments.push", Group.MANAGE, "Deployment", _DEPLOYMENTS_WRITE, "push to an app"),
    Action("deployments.cancel", Group.MANAGE, "Deployment", _DEPLOYMENTS_WRITE, "cancel an app's build"),
    Action("deployments.redeploy", Group.MANAGE, "Deployment", _DEPLOYMENTS_WRITE, "deploy an older build again"),
    Action("deployments.destroy", Group.MANAGE, "Deployment", _DEPLOYMENTS_WRITE, "destroy an app"),
    Action("workspaces.create", Group.CREATE, "Org", _WORKSPACES_WRITE, "make a workspace"),
    Action("workspaces.view", Group.SEE, "Workspace", _WORKSPACES_READ, "see a workspace and its members"),
    Action("workspaces.start", Group.RUN, "Workspace", _WORKSPACES_WRITE, "start a workspace"),
    Action("workspaces.stop", Group.RUN, "Workspace", _WORKSPACES_WRITE, "stop a workspace"),
    Action("workspaces.open", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "open a workspace in the browser"),
    Action("workspaces.read-key", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "get the SSH key of a workspace"),
    Action("workspaces.make-token", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "make a token for a workspace"),
    Action("workspaces.leave", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "leave a workspace"),
    Action("cron.view", Group.ENTER, "Workspace", _WORKSPACES_READ, "see the cron jobs of a workspace"),
    Action("cron.create", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "make a cron job"),
    Action("cron.change", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "change a cron job"),
    Action("cron.delete", Group.ENTER, "Workspace", _WORKSPACES_WRITE, "delete a cron job"),
    Action("workspaces.try-again", Group.MANAGE, "Workspace", _WORKSPACES_WRITE, "make a failed workspace again"),
    Action("workspaces.keep-alive", Group.MANAGE, "Workspace", _WORKSPACES_WRITE, "keep an unused workspace"),
    Action("workspaces.share", Group.MANAGE, "Workspace", _WORKSPACES_WRITE, "add and remove members of a workspace"),
    Action("workspaces.revoke-token", Group.MANAGE, "Workspace", _WORKSPACES_WRITE, "revoke a workspace's token"),
    Action("workspaces.transfer", Group.OWN, "Workspace", _WORKSPACES_WRITE, "give a workspace to somebody"),
    Action("workspaces.destroy", Group.OWN, "Workspace", _WORKSPACES_WRITE, "destroy a workspace"),
    Action("admin.view", Group.OPERATE, SERVER, None, "see the operators' pages"),
    Action("admin.explain", Group.OPERATE, SERVER, None, "ask who may do what, and why"),
    Action("admin.have-power", Group.OPERATE, "User", None, "act on a person and on what is theirs"),
    Action("admin.change-own-password", Group.OPERATE, SERVER, None, "change their own password"),
    Action("admin.suspend-person", Group.OPERATE, SERVER, None, "suspend people"),
    Action("admin.restore-person", Group.OPERATE, SERVER, None, "restore people"),
    Action("admin.approve-person", Group.OPERATE, SERVER, None, "let people in from the waiting list"),
    Action("admin.restore-leaver", Group.OPERATE, SERVER, None, "let people in again who were taken for leavers"),
    Action("admin.keep-leaver", Group.OPERATE, SERVER, None, "keep people whatever the sign-up policy says"),
    Action("admin.ask-about-leaver", Group.OPERATE, SERVER, None, "have the sign-up policy asked about people again"),
    Action("admin.sign-out-person", Group.OPERATE, SERVER, None, "sign people out everywhere"),
    Action("admin.suspend-organization", Group.OPERATE, SERVER, None, "suspend organizations"),
    Action("admin.restore-organization", Group.OPERATE, SERVER, None, "restore organizations"),
    Action("admin.revoke-token", Group.OPERATE, SERVER, None, "revoke access tokens"),
    Action("admin.revoke-key", Group.OPERATE, SERVER, None, "revoke API keys"),
    Action("admin.start-workspace", Group.OPERATE, SERVER, None, "start people's workspaces"),
    Action("admin.stop-workspace", Group.OPERATE, SERVER, None, "stop people's workspaces"),
    Action("admin.destroy-workspace", Group.OPERATE, SERVER, None, "destroy people's workspaces"),
    Action("admin.revoke-webhook-token", Group.OPERATE, SERVER, None, "revoke webhook tokens"),
    Action("admin.set-idle-policy", Group.OPERATE, SERVER, None, "say when unused workspaces are stopped"),
    Action("admin.destroy-app", Group.OPERATE, SERVER, None, "destroy people's apps"),
    Action("admin.cancel-build", Group.OPERATE, SERVER, None, "cancel people's builds"),
    Action("admin.redeploy-build", Group.OPERATE, SERVER, None, "deploy people's older builds again"),
    Action("admin.transfer-workspace", Group.SUPERUSE, SERVER, None, "give somebody's workspace to somebody else"),
    Action("admin.add-person", Group.SUPERUSE, SERVER, None, "make an operator's account"),
    Action("admin.change-person", Group.SUPERUSE, SERVER, None, "say who is an operator"),
    Action("admin.set-password", Group.SUPERUSE, SERVER, None, "set somebody's password"),
)

ACTIONS = {action.name: action for action in _ALL}
if len(ACTIONS) != len(_ALL) or not {action.scope for action in _ALL} <= {None, *SCOPES}:
    raise RuntimeError("An action is named twice, or has a scope that principals.SCOPES doesn't know.")

_NAMES_OF_PRINCIPALS = "User, Worker, Service, Agent, Machine, Workload"


def declarations() -> str:
    """All groups and actions in Cedar's schema language. Each can be asked about the whole server, too: at the door."""
    lines = [f'action "{group}"; // {MEANINGS[group]}' for group in Group]
    for action in _ALL:
        resources = SERVER if action.on == SERVER else f"{action.on}, {SERVER}"
        lines.append(
            f'action "{action.name}" in ["{action.group}"] appliesTo {{ '
            f"principal: [{_NAMES_OF_PRINCIPALS}], resource: [{resources}], context: Context }}; // {action.sentence}"
        )
    return "\n".join(lines) + "\n"
