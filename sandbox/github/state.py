"""What GitHub knows: people, codes on their way, and access tokens."""

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

CLIENT_ID = "sandbox-github-client"
CLIENT_SECRET = "sandbox-github-secret"
TEAM = "crayon-team"
# The server's own token, of an account that belongs to the team.
ORG_TOKEN = "sandbox-github-org-token"
BOT = "crayon-bot"

# Letters, digits and single hyphens, not at either end, at most 39 characters. A company that manages its people's
# accounts (Enterprise Managed Users) has its short name, of letters and digits, at the end of each: name_company.
# https://docs.github.com/enterprise-cloud@latest/admin/concepts/identity-and-access-management/username-considerations-for-external-authentication
_LOGIN = re.compile(r"(?=.{1,39}\Z)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:_[A-Za-z0-9]{3,8})?\Z")
_FIRST_MADE_ID = 10_000_000


@dataclass
class Email:
    """One address of a person."""

    email: str
    verified: bool = True
    primary: bool = True
    visibility: str | None = "public"


@dataclass
class Person:
    """A GitHub account. `email` is the public one, None when the person hides it."""

    login: str
    id: int
    name: str | None
    email: str | None
    emails: list[Email]
    orgs: list[str] = field(default_factory=list)
    created_at: str = "2020-01-01T00:00:00Z"
    # Of `orgs` those that everybody sees the person in; the others show it to their members only.
    public_orgs: list[str] = field(default_factory=list)


@dataclass
class Organization:
    """An organization. One that `moved_to` another name leads there from its old one until somebody takes that."""

    login: str
    id: int
    is_gone: bool = False
    moved_to: str = ""


@dataclass
class Code:
    """An authorization code, bound to what the authorize request said."""

    code: str
    login: str
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None
    expires_at: datetime


@dataclass
class Token:
    """An access token of a person."""

    token: str
    login: str
    scopes: tuple[str, ...]


@dataclass
class GitHub:
    """Everything the stand-in for GitHub holds."""

    people: dict[str, Person] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    # The server's own, which is not among those that signing in gave out; None once it is revoked.
    org_token: Token | None = field(default_factory=lambda: Token(ORG_TOKEN, BOT, ("read:org",)))

    def __post_init__(self) -> None:
        """Start with the three who are always there, and the account of the server's own token."""
        for number, login in enumerate(("alice", "bob", "charlie", BOT), start=1001):
            self.people[login] = _new_person(login, number=number)
        self.organization(TEAM)
        for login in ("alice", "bob", BOT):
            self.people[login].orgs.append(TEAM)
        self.people["charlie"].email = None
        self.people["charlie"].emails[0].visibility = "private"

    def person(self, login: str) -> Person:
        """Find a person by login, whatever its case; a new login is made on first use."""
        key = login.lower()
        if key not in self.people:
            self.people[key] = _new_person(login, number=_stable_id(key))
        return self.people[key]

    def token(self, text: str) -> Token | None:
        """Find a token that is good."""
        if self.org_token is not None and text == self.org_token.token:
            return self.org_token
        return self.tokens.get(text)

    def organization(self, login: str) -> Organization:
        """Find an organization by login, whatever its case; a new one is made on first use."""
        key = login.lower()
        if key not in self.organizations:
            number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:3], "big")
            self.organizations[key] = Organization(login=login, id=number)
        return self.organizations[key]

    def members_of(self, organization: Organization) -> list[Person]:
        """Give everybody who belongs to it, by id."""
        name = organization.login.lower()
        found = [person for person in self.people.values() if name in [each.lower() for each in person.orgs]]
        return sorted(found, key=lambda person: person.id)

    def rename(self, person: Person, login: str) -> None:
        """Give a person another login; the id stays, and tokens and codes go on."""
        del self.people[person.login.lower()]
        bound: list[Code | Token] = [*self.codes.values(), *self.tokens.values()]
        for held in bound:
            if held.login == person.login:
                held.login = login
        person.login = login
        self.people[login.lower()] = person

    def issue_token(self, code: Code) -> Token:
        """Use a code up and give the token for it."""
        del self.codes[code.code]
        token = Token(token=f"gho_sandbox{secrets.token_hex(15)[:29]}", login=code.login, scopes=code.scopes)
        self.tokens[token.token] = token
        return token

    def as_json(self) -> dict[str, object]:
        """Give all of it, secrets as they are."""
        return {
            "people": {person.login: asdict(person) for person in self.people.values()},
            "codes": {
                code.code: {**asdict(code), "expires_at": code.expires_at.isoformat()} for code in self.codes.values()
            },
            "tokens": {token.token: asdict(token) for token in self.tokens.values()},
            "org_token": self.org_token and asdict(self.org_token),
            "organizations": {each.login: asdict(each) for each in self.organizations.values()},
        }


def is_login(text: str) -> bool:
    """Say whether GitHub would allow the name."""
    return _LOGIN.match(text) is not None


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(tz=UTC)


def _stable_id(login: str) -> int:
    digest = hashlib.sha256(login.encode()).digest()
    return _FIRST_MADE_ID + int.from_bytes(digest[:4], "big")


def _new_person(login: str, *, number: int) -> Person:
    address = f"{login.lower()}@example.com"
    return Person(
        login=login,
        id=number,
        name=login.capitalize(),
        email=address,
        emails=[Email(email=address)],
    )
