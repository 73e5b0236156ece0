"""Provisions and drops the databases of machines.

A workspace is a role, and two schemas that the role owns: in a database of its own, which the admin owns, or in the
one of the admin's URL, which those then share. PostgreSQL 15 to 18; the admin need not be a superuser, but has
CREATEROLE, CREATEDB for databases of workspaces' own, and owns the database of its URL
(https://www.postgresql.org/docs/current/role-attributes.html). It connects directly, not by way of a pooler that
hands out a server's connection per transaction. The database is for this purpose alone.

What a workspace's role still sees of the others, as PostgreSQL shows it to everybody: the names of roles and
databases, and in pg_stat_activity that somebody is connected (their statements are hidden). All share the server's
time and space, and the right to connect to other databases of the server that grant it to PUBLIC. It may set its own
time-outs otherwise, but not its limit of connections.

In a database that they share it also sees in pg_catalog the names of the others' schemas, tables and columns, the
source of functions, views and defaults, and about how many rows there are. All hear each other's NOTIFY, share
advisory locks, which are numbers without an owner, and the names of new schemas and of trusted extensions, which
belong to whoever takes them first.
"""

import contextlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, urlencode

from django.conf import settings
from psycopg import Connection

from clouddev.clients.data_database.admin_owned import Stray, databases_to_look_at, strays_in
from clouddev.clients.data_database.catalog import find_role, is_of, names_in, owners_of_schemas
from clouddev.clients.data_database.connection import connected, read_url, repeated
from clouddev.clients.data_database.databases import (
    Surroundings,
    find_database,
    make_database,
    surroundings_of,
    wants_database,
)
from clouddev.clients.data_database.drop import drop_workspace
from clouddev.clients.data_database.errors import ForeignName
from clouddev.clients.data_database.provision import make_extension, make_workspace
from clouddev.names import is_database_name
from core.errors import ApplicationError

_QUICK_SECONDS = 10
_PATIENCE_SECONDS = 3
_PROVISION_SECONDS = 30
_DROP_SECONDS = 120
_DEFAULT_PORT = "5432"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a machine gets: DATABASE_URL with the password in it, DATABASE_SCHEMA, and the host for our records."""

    url: str = field(repr=False)
    schema: str
    host: str


class DataDatabase:
    """The data database, by the URL of an admin's connection. Safe for threads: each call connects for itself.

    All methods raise DataDatabaseFailed (502), DataDatabaseBusy (503) or DataDatabaseTimeout (504); after the first
    and the last a change may have been made, and the same call again finishes it.
    """

    def __init__(self, *, url: str, isolation: str = "auto") -> None:
        """Raises DataDatabaseMissing (503) when the URL is empty or can't be read.

        isolation: what new workspaces get. `database`: one of their own, `schema`: schemas in the one they all share,
        `auto`: a database where the admin may make some.
        """
        self._parts = read_url(url)
        self._isolation = isolation

    @classmethod
    def from_settings(cls) -> Self:
        """The one of DATABASE_DATA_URL. Raises DataDatabaseMissing (503) when that is empty."""
        return cls(url=settings.DATABASE_DATA_URL, isolation=settings.DATABASE_DATA_ISOLATION)

    def __repr__(self) -> str:
        return "<DataDatabase>"

    @property
    def host(self) -> str:
        """Where machines find it."""
        return str(self._parts["host"])

    def provision(self, name: str) -> Provisioned:
        """Make a workspace, or repair it, with a new password: of two calls at once the last one's password is right.

        Raises ForeignName for a name that isn't a workspace's.
        """
        _refuse_foreign(name)
        own = self._made_for(name)
        parts = {**self._parts, "dbname": name} if own else self._parts
        with connected(parts, doing="provisioning", seconds=_PROVISION_SECONDS) as connection:
            repeated(connection, make_extension)
            password = repeated(connection, lambda connection: make_workspace(connection, name))
            database = connection.info.dbname
        return Provisioned(url=self._url_for(name, password, database), schema=name, host=self.host)

    def _made_for(self, name: str) -> bool:
        """Make the workspace's own database where it shall have one; tell whether it does."""
        with connected(self._parts, doing="making a database", seconds=_PROVISION_SECONDS) as connection:
            own = wants_database(connection, name, isolation=self._isolation)
            if own:
                repeated(connection, lambda connection: make_database(connection, name), in_transaction=False)
        return own

    def drop(self, name: str) -> bool:
        """End a workspace's sessions and drop all it has here, and its role; nothing happens when it is gone.

        False where its role had to be left, because it is named in another database of the server that the admin
        can't change: it can't log in, owns nothing and may nothing here, and stays listed. Dropping is done then.
        Others' objects stay, unless they stand on something of this workspace's that it shared with them: all that it
        wrote goes, wherever it lies, and nothing but an extension that others use becomes the admin's.
        Raises ForeignName for a name that isn't a workspace's.
        """
        _refuse_foreign(name)
        with connected(self._parts, doing="dropping", seconds=_DROP_SECONDS) as connection:
            return drop_workspace(connection, name, elsewhere=self._elsewhere)

    def exists(self, name: str) -> bool:
        """Whether anything of a workspace is there. Raises ForeignName for a name that isn't a workspace's."""
        _refuse_foreign(name)
        with connected(self._parts, doing="looking", seconds=_QUICK_SECONDS) as connection:
            owners = owners_of_schemas(connection, name).values()
            if find_role(connection, name) is not None or find_database(connection, name) is not None:
                return True
            return any(is_of(name, owner) for owner in owners)

    def list_names(self) -> list[str]:
        """The names of all workspaces that have anything here, sorted."""
        with connected(self._parts, doing="listing", seconds=_QUICK_SECONDS) as connection:
            return names_in(connection)

    def strays(self) -> list[Stray]:
        """What belongs to the admin, or lies in a workspace's schema as another's, though a workspace may have made it.

        Other databases of the server are looked at too, where the admin owns anything and may connect.
        """
        with self._looking(self._parts) as connection:
            found = strays_in(connection)
            others = databases_to_look_at(connection)
        for database in others:
            # What can't be looked at is told in the log.
            with contextlib.suppress(ApplicationError), self._looking({**self._parts, "dbname": database}) as there:
                found += strays_in(there, anything=is_database_name(database))
        return found

    def surroundings(self) -> Surroundings:
        """What the admin may, and what else workspaces can reach on its server."""
        with self._looking(self._parts) as connection:
            return surroundings_of(connection)

    @staticmethod
    def _looking(parts: dict[str, Any]) -> AbstractContextManager[Connection]:
        return connected(parts, doing="looking around", seconds=_QUICK_SECONDS, patience=_PATIENCE_SECONDS)

    def _elsewhere(self, database: str) -> AbstractContextManager[Connection]:
        """A connection to another database of the server."""
        return connected({**self._parts, "dbname": database}, doing="dropping elsewhere", seconds=_QUICK_SECONDS)

    def _url_for(self, name: str, password: str, database: str) -> str:
        """The admin's address with the role's name and password. Paths of our certificates are of no use there."""
        host = self.host
        host = f"[{host}]" if ":" in host else quote(host, safe="")
        address = f"{host}:{self._parts.get('port', _DEFAULT_PORT)}/{quote(database, safe='')}"
        query = urlencode({"sslmode": self._parts["sslmode"]}) if "sslmode" in self._parts else ""
        return f"postgresql://{name}:{quote(password, safe='')}@{address}{'?' if query else ''}{query}"


def _refuse_foreign(name: str) -> None:
    if not is_database_name(name):
        raise ForeignName
