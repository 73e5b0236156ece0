"""Shapes of the cloud dev API's requests and answers, and how a query names a workspace."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter
from typing_extensions import TypedDict

from clouddev import models
from clouddev.machine_tokens import LIFETIMES
from core.api import required
from core.schemas import Request, Value, one_of, told, words
from fly.names import labeled
from fly.schemas import AppName, Variables

TAG = "workspaces"
APP_NAME = OpenApiParameter("appName", str, required=True, description="A workspace that the caller may use.")
_LONGEST_LOGIN = 100
_ROLES = models.Member.Role.values
_Role = Annotated[str, told(enum=_ROLES)]


def _moment(value: object) -> datetime | None:
    """A time of ISO 8601, or null; without a zone it is in the server's."""
    if value is None:
        return None
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError("This must be a date with its time, such as 2026-01-31T12:00:00Z.")
    try:
        return timezone.make_aware(found) if timezone.is_naive(found) else timezone.localtime(found)
    except OverflowError as error:
        raise ValueError("Datetime value out of range.") from error


def app_name_of(parameters: Mapping[str, str]) -> str:
    """What the query calls the workspace. Raises Malformed for what none can be called."""
    return labeled(required(parameters, "appName"))


class MachineName(Request):
    """Which workspace, by the name that its owner gave it."""

    app_name: AppName


class CreateMachine(MachineName):
    """The workspace that is wanted."""

    own: Annotated[
        bool, told("Make one of the caller's own where somebody else's of this name is shared with them.")
    ] = False
    env_vars: Annotated[
        Variables | None,
        told(
            "Environment variables, which become secrets of the workspace. The server's own win: APP_NAME, DEV_USER, "
            "SSH_PUBLIC_KEY, CRAYON_SERVER_URL, DEV_UI_JWT_PUBLIC_KEY, and without a DATABASE_URL also DATABASE_URL "
            "and DATABASE_SCHEMA. PORT and what Fly sets by itself, such as FLY_REGION, are left out."
        ),
    ] = None


class CreatedMachine(TypedDict):
    """A workspace that is being made; the key and the address are its own from the beginning."""

    appUrl: str
    flyAppName: str
    sshPrivateKey: Annotated[str, told("In OpenSSH's own format.")]
    message: NotRequired[
        Annotated[str, told("That it is shared by somebody else; what of the environment was left out.")]
    ]


class TriedAgain(TypedDict):
    """The workspace is being made, or is there already; its key is told by `ssh-key`."""

    status: Literal["creating"]
    begun: Annotated[bool, told("False when it is being made already, or is there.")]
    appUrl: str
    flyAppName: str


class ListedMachine(TypedDict):
    """A workspace that the caller may use."""

    app_name: str
    fly_app_name: str
    app_url: str
    role: _Role
    linux_user: Annotated[
        str,
        told("The caller's own name in tokens. By SSH all members come in as the one user that `ssh-key` tells."),
    ]
    fly_state: Annotated[
        str,
        told(
            "Fly's own word, `unknown` when it can't be asked; before and after Fly has the workspace `creating`, "
            "`error` or `destroying`, and `error` when Fly has lost it. It is some seconds old at most; while Fly "
            "can't be asked, up to about 75 seconds."
        ),
    ]
    notice: Annotated[
        str | None,
        told(
            "That the workspace is going to be stopped, or deleted with its data, for want of use, and when; a "
            "sentence for its people. Null where nothing is going to happen."
        ),
    ]


class MachineStatus(TypedDict):
    """How a workspace is; `message` and `error` are left out where there is nothing to say."""

    status: Annotated[
        str,
        told(
            "`not_found`, `creating`, `starting`, `running`, `stopping`, `stopped`, `error`, `destroying`, "
            "`unknown`, or a word of Fly's."
        ),
    ]
    url: str | None
    message: NotRequired[
        Annotated[
            str,
            told(
                "What happens to it, for its people: the current step, why it could not be started or stopped, and "
                "that it is going to be stopped, or deleted with its data, for want of use, and when."
            ),
        ]
    ]
    error: NotRequired[Annotated[str, told("Why it could not be made, or that Fly has lost it.")]]


class StartedMachine(TypedDict):
    """The workspace starts, is going to as soon as Fly can, or runs already."""

    status: Literal["starting"]
    started: Annotated[int, told("How many workspaces start; 0 when it runs already.")]


class StoppedMachine(TypedDict):
    """The workspace stops, is going to as soon as Fly can, or has stopped already."""

    status: Literal["stopped"]


class DestroyedMachine(TypedDict):
    """The workspace, its volume and its database are removed in the background, whatever happens."""

    status: Literal["destroyed"]


class SSHAccess(TypedDict):
    """How to get in by SSH."""

    privateKey: Annotated[str, told("In OpenSSH's own format.")]
    linuxUser: Annotated[
        str, told("The one user there is on the workspace, the same for all members: whoever made it.")
    ]
    host: str
    port: int


class Token(TypedDict):
    """A dev-UI token."""

    token: Annotated[str, told("A JWT that the workspace verifies by itself; valid for 24 hours.")]


class AskWebhookToken(MachineName):
    """For which workspace a token is wanted, and for how long."""

    expires_in: Annotated[str | None, one_of(list(LIFETIMES))] = None


class WebhookToken(TypedDict):
    """A token for whoever calls the workspace's webhooks."""

    token: str
    expiresAt: datetime


class RevokedTokens(TypedDict):
    """The tokens of a workspace that were revoked and haven't expired."""

    jtis: Annotated[list[UUID], told("The tokens' claims `jti`.")]


class PersonOfMachine(MachineName):
    """A workspace and a person."""

    login: Annotated[str, words(most=_LONGEST_LOGIN), told("A GitHub login.")]


class AddMember(PersonOfMachine):
    """Who shall use a workspace, and as what."""

    role: Annotated[str | None, one_of(_ROLES)] = None


class Member(TypedDict):
    """Somebody who may use a workspace."""

    login: str
    name: str
    role: _Role
    linuxUser: Annotated[
        str,
        told("The member's own name in tokens. By SSH all members come in as the one user that `ssh-key` tells."),
    ]
    addedAt: datetime


class Waiting(TypedDict):
    """That somebody has to accept first. All of it is left out where nobody has to."""

    message: NotRequired[Annotated[str, told("Who has to accept, where and until when.")]]
    offerId: NotRequired[UUID]
    expiresAt: NotRequired[datetime]


class AddedMember(Member, Waiting):
    """A member whose role is this now; or, where `status` is there, somebody who is none before they accept.

    Then `addedAt` is when it was offered, and `name` and `linuxUser` are empty.
    """

    status: NotRequired[Literal["waiting"]]


class Offer(TypedDict):
    """A workspace that somebody is to use, or to own, as soon as they accept."""

    id: UUID
    appName: str
    kind: Annotated[
        str,
        told("`member`: to use it with others. `transfer`: it is to be theirs.", enum=models.Offer.Kind.values),
    ]
    role: Annotated[str, told("What the recipient is then.", enum=_ROLES)]
    offeredBy: Annotated[str, told("A login.")]
    offeredTo: Annotated[str, told("A login.")]
    offeredAt: datetime
    expiresAt: datetime


class AcceptedOffer(TypedDict):
    """The caller may use the workspace from now on, or it is theirs."""

    status: Literal["accepted"]
    appName: str
    role: _Role


class DeclinedOffer(TypedDict):
    """Nothing has changed, and the offer is over."""

    status: Literal["declined"]


class WithdrawnOffer(TypedDict):
    """Nothing has changed, and the offer is over."""

    status: Literal["withdrawn"]


class RemovedMember(TypedDict):
    """The person gets no more tokens, or can't accept any more; `message` says what they may still hold."""

    status: Literal["removed"]
    message: str


class Transferred(Waiting):
    """The workspace waits for somebody else to accept it; `transferred` where it is theirs already."""

    status: Literal["waiting", "transferred"]


class KeepAlive(MachineName):
    """Until when a workspace is to be left alone though nobody uses it; null for no longer."""

    until: Annotated[datetime | None, Value(_moment, {"type": "string", "format": "date-time", "nullable": True})]


class KeptAlive(TypedDict):
    """Until when the unused workspace is kept from being stopped or deleted."""

    keepAliveUntil: datetime | None
