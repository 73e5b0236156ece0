"""The sections of CONFIG_FILE and what each may say; what a section takes is what this server can honour."""

import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# What is served without credentials (accounts, core: the views that say so); this is no list of wishes.
PUBLIC_PATHS = ("/_/health", "/api/docs", "/api/docs/openapi.json")
# Workers' keys are for services beside this server; they open none of its own routes.
HTTPAuthenticator = Literal["better_auth_jwt", "better_auth_api_key", "static_api_key"]
GRPCAuthenticator = Literal["better_auth_jwt", "better_auth_api_key", "worker_token", "static_api_key"]


def _enabled(value: bool) -> bool:  # noqa: FBT001 - Pydantic's signature
    if not value:
        raise ValueError("can't be false: this server answers nobody without looking who it is")
    return value


def _database(value: str) -> str:
    if urlsplit(value).scheme not in {"postgres", "postgresql"}:
        raise ValueError("must be a postgres:// address: PostgreSQL is the only database")
    return value


def _address(value: str) -> str:
    """An address as it stands: what it is compared with has the same last slash, or is another one."""
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_good = is_good and not (parts.username or parts.password or parts.fragment)
    except ValueError:
        is_good = False
    if not is_good or not value.isprintable() or " " in value:
        raise ValueError("must be an address that starts with https:// (or http://), without a password or fragment")
    return value


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError("must be lower-case letters and digits, with single hyphens between them")
    return value


def _id(value: object) -> uuid.UUID:
    try:
        return uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be a UUID in quotes; `uuidgen` makes one") from None


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be printable, and more than spaces")
    return value.strip()


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names one of them twice")
    return values


def _public(values: tuple[str, ...]) -> tuple[str, ...]:
    if set(values) != set(PUBLIC_PATHS):
        raise ValueError(f"can't be changed here: what needs no credentials is {', '.join(PUBLIC_PATHS)}")
    return values


def _as_tuple(value: object) -> object:
    """TOML's arrays are lists; what is kept can't change."""
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Address = Annotated[str, Field(max_length=2000), AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of the file: what it doesn't know it refuses, and no value is taken for another kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @classmethod
    def inner(cls, name: str) -> "type[Section]":
        """The description of a table within this one."""
        annotation = cls.model_fields[name].annotation
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                return kind
        return cls


class Database(Section):
    """[database]: where DATABASE_URL isn't set."""

    url: Annotated[str, AfterValidator(_database)] | None = Field(default=None, repr=False)


class Server(Section):
    """[server]: where PORT and BIND aren't set."""

    http_port: Port | None = None
    grpc_port: Port | None = None


class ConfiguredOrganization(Section):
    """[[orgs]]: an organization that is there from the start, by this id and slug for good."""

    id: Annotated[uuid.UUID, BeforeValidator(_id)]
    name: Text
    slug: Annotated[str, Field(max_length=100), AfterValidator(_slug)]
    tier: Annotated[str, Field(max_length=50), AfterValidator(_printable)] = "FREE"
    region: Annotated[str, Field(max_length=50)] = ""


class TrustedTokens(Section):
    """[auth.better_auth_jwt]: the issuer whose JWTs are taken, and where its keys are."""

    jwks_uri: Address
    issuer: Address
    audience: Text


class KeyValidation(Section):
    """[auth.better_auth]: whom to ask about API keys that this server didn't make."""

    validation_url: Address
    timeout_secs: Annotated[int, Field(ge=1, le=30)] = 5


class OrganizationResolver(Section):
    """[auth.org_resolver]: how an organization's slug in a token becomes an organization here."""

    cache_ttl_secs: Annotated[int, Field(ge=0, le=3600)] = 300
    auto_create: bool = False


class HTTPEndpoints(Section):
    """[auth.endpoints.http]: what the JSON API takes, beside this server's own people and their tools."""

    authenticators: Annotated[
        tuple[HTTPAuthenticator, ...], BeforeValidator(_as_tuple), Field(min_length=1), AfterValidator(_once)
    ]
    authorizer: Literal["cedar"] = "cedar"
    exclude_paths: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_public)] = PUBLIC_PATHS


class GRPCEndpoints(Section):
    """[auth.endpoints.grpc]: the same for gRPC, where nothing is open to everybody."""

    authenticators: Annotated[
        tuple[GRPCAuthenticator, ...], BeforeValidator(_as_tuple), Field(min_length=1), AfterValidator(_once)
    ]
    authorizer: Literal["cedar"] = "cedar"


class Endpoints(Section):
    """[auth.endpoints]."""

    http: HTTPEndpoints | None = None
    grpc: GRPCEndpoints | None = None


class Auth(Section):
    """[auth]."""

    enabled: Annotated[bool, AfterValidator(_enabled)] = True
    better_auth_jwt: TrustedTokens | None = None
    better_auth: KeyValidation | None = None
    org_resolver: OrganizationResolver = OrganizationResolver()
    endpoints: Endpoints = Endpoints()


class ConfigFile(Section):
    """The whole file."""

    database: Database = Database()
    server: Server = Server()
    orgs: Annotated[tuple[ConfiguredOrganization, ...], BeforeValidator(_as_tuple)] = ()
    auth: Auth = Auth()

    def contradictions(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What each section may say, and both together can't: the place, and the rest of a sentence about it."""
        for key in ("id", "slug"):
            first: dict[object, int] = {}
            for number, organization in enumerate(self.orgs):
                other = first.setdefault(getattr(organization, key), number)
                if other != number:
                    yield ("orgs", number, key), f"is the same as that of orgs[{other + 1}]"
        needed = (("better_auth_jwt", self.auth.better_auth_jwt), ("better_auth_api_key", self.auth.better_auth))
        for surface, endpoints in (("http", self.auth.endpoints.http), ("grpc", self.auth.endpoints.grpc)):
            for name, section in needed:
                if endpoints and name in endpoints.authenticators and section is None:
                    place = ("auth", "endpoints", surface, "authenticators")
                    yield place, f"has {name}, which needs [auth.{name.removesuffix('_api_key')}]"
        if self.auth.org_resolver.auto_create and self.auth.better_auth_jwt is None:
            yield (
                ("auth", "org_resolver", "auto_create"),
                "needs [auth.better_auth_jwt], whose tokens name organizations",
            )
