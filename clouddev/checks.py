"""System checks of workspaces."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connection

from clouddev.clients.data_database import DataDatabase, Stray, Surroundings
from clouddev.clients.data_database.connection import read_url
from clouddev.machine_tokens import Signer
from core.errors import ApplicationError, Unavailable

_HINT = "Make one with `openssl genpkey -algorithm ed25519`; its newlines may be written as `\\n`."
_POSTGRES_PORT = 5432
_MEMORY_STEP_MB = 256


@register(Tags.security)
def signing_key_is_one(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """A key that can't be read would be noticed by the first person who opens their machine."""
    if not settings.DEV_UI_JWT_PRIVATE_KEY:
        return []
    try:
        Signer.from_pem(settings.DEV_UI_JWT_PRIVATE_KEY)
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=_HINT, id="crayon.E041")]
    return []


@register(Tags.database)
def data_database_is_one(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Machines' roles may make what they like in the data database, so it is never the server's own."""
    url = settings.DATABASE_DATA_URL
    if not url:
        return []
    hint = "Give the URL of an admin's connection, `postgres://user:password@host/database`, to a database of its own."
    try:
        parts = read_url(url) if url.startswith(("postgres://", "postgresql://")) else None
    except Unavailable:
        parts = None
    if parts is None or not str(parts.get("port", _POSTGRES_PORT)).isdecimal():
        return [Error("DATABASE_DATA_URL can't be read.", hint=hint, id="crayon.E042")]
    own = settings.DATABASES["default"]
    theirs = _place(parts["host"], parts.get("port"), parts.get("dbname") or parts["user"])
    if theirs == _place(own.get("HOST"), own.get("PORT"), own.get("NAME")):
        return [Error("DATABASE_DATA_URL is the same database as DATABASE_URL.", hint=hint, id="crayon.E042")]
    return []


def _place(host: object, port: object, database: object) -> tuple[str, str, str]:
    return str(host or "").lower(), str(port or _POSTGRES_PORT), str(database)


@register(Tags.compatibility)
def memory_is_a_size_of_flys(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Fly refuses every machine whose memory is not a multiple of 256 MB."""
    if settings.CLOUD_DEV_MEMORY_MB % _MEMORY_STEP_MB == 0:
        return []
    sentence = f"CLOUD_DEV_MEMORY_MB must be a multiple of {_MEMORY_STEP_MB}, and is {settings.CLOUD_DEV_MEMORY_MB}."
    return [Error(sentence, hint="Fly makes no machines of another size.", id="crayon.E043")]


@register(Tags.security, deploy=True)
def signing_key_is_set(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Machines are made at Fly, and nobody could open one without a key."""
    if settings.DEV_UI_JWT_PRIVATE_KEY or not settings.FLY_API_TOKEN:
        return []
    return [
        Warning(
            "DEV_UI_JWT_PRIVATE_KEY is not set: workspaces can be neither made nor opened.",
            hint=_HINT,
            id="crayon.W041",
        )
    ]


@register(Tags.security, deploy=True)
def data_database_is_in_order(app_configs: object, **_kwargs: Any) -> list[CheckMessage]:
    """Whether its server keeps workspaces from what is not theirs, where it can be asked."""
    if not settings.DATABASE_DATA_URL or data_database_is_one(None):
        return []
    try:
        database = DataDatabase.from_settings()
        around, strays = database.surroundings(), database.strays()
    except ApplicationError as error:
        # A deployment doesn't wait for the data database.
        return [Info(f"The data database was not looked at: {error.sentence}", id="crayon.I041")]
    messages: list[CheckMessage] = [_of_stray(stray) for stray in strays]
    if _reaches_our_own(around):
        messages.append(_own_database_is_reachable())
    if settings.DATABASE_DATA_ISOLATION == "database" and not around.may_make_databases:
        sentence = "DATABASE_DATA_ISOLATION is database, and the admin of DATABASE_DATA_URL may make none."
        hint = "As a superuser, say `ALTER ROLE` with its name and `CREATEDB`; or set DATABASE_DATA_ISOLATION=schema."
        messages.append(Error(sentence, hint=hint, id="crayon.E046"))
    return messages


def _reaches_our_own(around: Surroundings) -> bool:
    """Whether workspaces may connect to the server's own database; not so where that can't be asked."""
    if str(settings.DATABASES["default"]["NAME"]) not in around.open_to_everybody:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier FROM pg_catalog.pg_control_system()")
            [identifier] = cursor.fetchone()
    except DatabaseError:
        return False
    return around.system_identifier == int(identifier)


def _own_database_is_reachable() -> CheckMessage:
    name = settings.DATABASES["default"]["NAME"]
    return Error(
        f"Workspaces may connect to the server's own database {name}: it is beside the data database and open to "
        "PUBLIC.",
        hint=f'As its owner, say `REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC;`, after `GRANT CONNECT,'
        f' TEMPORARY ON DATABASE "{name}" TO` each role that uses it and does not own it.',
        id="crayon.E045",
    )


def _of_stray(stray: Stray) -> CheckMessage:
    """Versions before gave the data database's admin what dropped workspaces had left in others' schemas."""
    return Error(
        f"In the data database something runs with the rights of {stray.owner} that a workspace may have written:"
        f" the {stray.kind} {stray.name}, in the database {stray.database}.",
        hint=f"Remove it there: `{stray.removal}` Or, if you made it yourself, give it to a role of its own."
        " `manage.py check_data_database` lists all.",
        id="crayon.E044",
    )
