"""What the data database has: roles, schemas, and whose they are."""

from dataclasses import dataclass

import psycopg

from clouddev.names import is_database_name

_DBOS = "_dbos"
# The comment on a role that is being dropped, before the name of the database.
LEFT_IN = "left in "
_FIRST_WITH_OPTIONS_OF_MEMBERSHIP = 160000


@dataclass(frozen=True, slots=True)
class Role:
    """A role that exists. `raised`: it has rights that no workspace may have."""

    raised: bool


@dataclass(frozen=True, slots=True)
class Admin:
    """Who we are there."""

    name: str
    superuser: bool
    # PostgreSQL 16 tells apart who administers a role, inherits from it, and may become it.
    options_of_membership: bool


def schemas_of(name: str) -> tuple[str, str]:
    """The two schemas of a workspace: its own, and the one that DBOS keeps its system tables in."""
    return name, f"{name}{_DBOS}"


def admin_of(connection: psycopg.Connection) -> Admin:
    """Who this connection is."""
    row = connection.execute(
        "SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER",
    ).fetchone()
    name, superuser = row or ("", False)
    options = connection.info.server_version >= _FIRST_WITH_OPTIONS_OF_MEMBERSHIP
    return Admin(name=name, superuser=superuser, options_of_membership=options)


def find_role(connection: psycopg.Connection, name: str) -> Role | None:
    """The role of that name, if there is one."""
    row = connection.execute(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        " FROM pg_catalog.pg_roles WHERE rolname = %s",
        [name],
    ).fetchone()
    return None if row is None else Role(raised=row[0])


def owners_of_schemas(connection: psycopg.Connection, name: str) -> dict[str, str]:
    """Those schemas of a workspace that exist, with their owners."""
    rows = connection.execute(
        "SELECT nspname, pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = ANY(%s)",
        [list(schemas_of(name))],
    )
    return dict(rows.fetchall())


def is_of(name: str, owner: str) -> bool:
    """Whether a schema with this owner belongs to this workspace.

    Whoever may make schemas can make one with the name of another workspace: that one is not the other's.
    """
    return owner == name or not is_database_name(owner)


def databases_holding(connection: psycopg.Connection, name: str) -> list[str]:
    """The other databases of the server in which something is a role's, or names it in its rights."""
    rows = connection.execute(
        "SELECT DISTINCT d.datname FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.oid = s.dbid"
        " WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass"
        " AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s)"
        " AND d.datname <> pg_catalog.current_database() ORDER BY d.datname",
        [name],
    )
    return [database for (database,) in rows]


def names_in(connection: psycopg.Connection) -> list[str]:
    """The names of all workspaces here, sorted: from databases, from roles with anything in this one, and from schemas.

    Also from roles that have nothing here any more, and could not be dropped. Roles belong to the whole server. One
    that another database's workspace has is not listed.
    """
    roles = connection.execute(
        "SELECT r.rolname FROM pg_catalog.pg_roles r, pg_catalog.pg_database d"
        " WHERE r.rolname LIKE 'crayon\\_dev\\_%%' AND d.datname = pg_catalog.current_database()"
        " AND (pg_catalog.shobj_description(r.oid, 'pg_authid') = %s || d.datname OR EXISTS ("
        "SELECT FROM pg_catalog.pg_shdepend s"
        " WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = r.oid AND (s.dbid = d.oid"
        " OR (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid))))",
        [LEFT_IN],
    )
    databases = connection.execute(
        "SELECT datname FROM pg_catalog.pg_database"
        " WHERE datname LIKE 'crayon\\_dev\\_%%' AND pg_catalog.pg_get_userbyid(datdba) = CURRENT_USER",
        [],
    )
    found = {name for (name,) in (*roles, *databases) if is_database_name(name)}
    schemas = connection.execute(
        "SELECT nspname, pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace"
        " WHERE nspname LIKE 'crayon\\_dev\\_%%'",
        [],
    )
    for schema, owner in schemas:
        name = schema.removesuffix(_DBOS)
        if is_database_name(name) and is_of(name, owner):
            found.add(name)
    return sorted(found)
