"""Shapes of requests and answers: of the login API, and about organizations, members and invitations."""

import uuid
from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, AliasChoices, Field
from typing_extensions import TypedDict

from accounts.email_addresses import LONGEST as LONGEST_EMAIL
from accounts.email_addresses import is_address, plain
from accounts.models.organizations import LONGEST_SLUG, Role, is_slug
from core.schemas import Request, Value, one_of, printable, words


class Start(Request):
    """What a CLI may say of itself."""

    client_name: Annotated[str, words(most=100, may_be_blank=True), AfterValidator(printable)] = ""
    hostname: Annotated[str, words(most=255, may_be_blank=True), AfterValidator(printable)] = ""
    code_challenge: Annotated[
        str, Field(pattern=r"^([A-Za-z0-9_-]{43})?$", validation_alias=AliasChoices("code_challenge", "codeChallenge"))
    ] = ""


class Started(TypedDict):
    """The code to show and the secret to keep."""

    code: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    secret: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Status(TypedDict):
    """A poll's answer; the token only with `approved`."""

    status: Literal["pending", "approved", "denied", "expired"]
    token: NotRequired[str]


class Revoked(TypedDict):
    """A logout's answer."""

    status: Literal["revoked"]


def _slug(text: str) -> str:
    """A slug."""
    if not is_slug(text):
        raise ValueError("Use lower-case letters and digits, with single hyphens between them.")
    return text


def _email(text: str) -> str:
    """An e-mail address, as it is compared."""
    if not is_address(text):
        raise ValueError("This is not an e-mail address.")
    return plain(text)


def _user_id(value: object) -> uuid.UUID:
    """The id of a person."""
    try:
        return uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("This is not the id of a person.") from None


_NAME = words(most=255)
_ROLE = Value(one_of([str(role) for role in Role]).read, {"type": "string", "pattern": f"^({'|'.join(Role)})$"})


class NewOrganization(Request):
    """An organization to be made."""

    name: Annotated[str, _NAME, AfterValidator(printable)]
    slug: Annotated[str, words(most=LONGEST_SLUG, check=_slug)]
    tier: Annotated[str, words(most=50, may_be_blank=True)] = ""
    region: Annotated[str, words(most=50, may_be_blank=True), AfterValidator(printable)] = ""


class MadeOrganization(TypedDict):
    """What has been made."""

    id: uuid.UUID
    slug: str


class Organization(TypedDict):
    """An organization of the caller's."""

    id: uuid.UUID
    name: str
    slug: str
    tier: str
    region: str | None
    createdAt: datetime


class RenamedOrganization(Request):
    """An organization's other name."""

    name: Annotated[str, _NAME, AfterValidator(printable)]


class Done(TypedDict):
    """What has been done."""

    status: Literal["deleted", "removed", "left", "withdrawn", "declined"]


class OrganizationMember(TypedDict):
    """Somebody who belongs to an organization."""

    userId: uuid.UUID
    login: str
    name: str
    role: str
    joinedAt: datetime


class ChangedRole(Request):
    """What a member is to be."""

    role: Annotated[str, _ROLE]


class NewOwner(Request):
    """Whose an organization is to be."""

    user_id: Annotated[uuid.UUID, Value(_user_id, {"type": "string", "format": "uuid"})]


class NewInvitation(Request):
    """Who is invited, and as what."""

    email: Annotated[str, words(most=LONGEST_EMAIL, check=_email)]
    role: Annotated[str, _ROLE] = "member"


class MadeInvitation(TypedDict):
    """An invitation that was made; the link where no mail was sent."""

    id: uuid.UUID
    expiresAt: datetime
    mailed: bool
    link: NotRequired[str]


class Invitation(TypedDict):
    """An invitation that waits, as those see it who invite."""

    id: uuid.UUID
    email: str
    role: str
    invitedBy: str
    invitedAt: datetime
    expiresAt: datetime


class InvitedTo(TypedDict):
    """What somebody is invited to."""

    name: str
    slug: str


class ReceivedInvitation(TypedDict):
    """An invitation that waits, as who is invited sees it."""

    id: uuid.UUID
    organization: InvitedTo
    role: str
    invitedBy: str
    invitedAt: datetime
    expiresAt: datetime


class AcceptedInvitation(TypedDict):
    """What the caller is a member of now."""

    organization: str
    role: str
