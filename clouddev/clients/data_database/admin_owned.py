"""What runs with the rights of a data database's admin though a workspace may have written it.

Earlier versions gave the admin what others stood on when its owner was dropped. Functions, views, rules and triggers
run with their owner's rights, so that whoever may use such a one may do what the admin may.
"""

from dataclasses import dataclass

import psycopg

from clouddev.clients.data_database.owned_objects import KINDS, LARGE_OBJECT, OWNERS

_WORKSPACE = "^crayon_dev_[0-9a-f]{8}$"
_SCHEMA = "^crayon_dev_[0-9a-f]{8}(_dbos)?$"
_FIRST_NUMBER = 16384  # below it is what came with the server


@dataclass(frozen=True, slots=True)
class Stray:
    """A thing in a database, whose it is, and the statement that removes it."""

    database: str
    kind: str
    name: str
    owner: str
    removal: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} in the database {self.database}, which belongs to {self.owner}"


_THINGS = " UNION ALL ".join(
    f"SELECT tableoid, oid, pg_catalog.pg_get_userbyid({column}) AS owner FROM pg_catalog.{table}"  # noqa: S608 - constants
    f" WHERE oid >= {_FIRST_NUMBER}"
    for table, column in OWNERS.items()
    if table != "pg_largeobject_metadata"
)
# Whoever makes a large object may choose its number, and it is known by the table that has its bytes.
_LARGE_OBJECTS = (
    "SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass, oid, pg_catalog.pg_get_userbyid(lomowner)"
    " FROM pg_catalog.pg_largeobject_metadata"
)
# The members of an extension belong to a superuser. One that is the admin's was added to it, unless the admin makes
# members of its own: as a superuser, or by an extension that needs none. Then only what runs as the admin counts.
_STRAYS = f"""
WITH t AS MATERIALIZED (
  SELECT * FROM ({_THINGS} UNION ALL {_LARGE_OBJECTS}) things WHERE owner !~ '{_WORKSPACE}'
)
SELECT o.type, o.identity, t.owner, pg_catalog.quote_ident(e.extname), t.oid
FROM t CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.tableoid, t.oid, 0) o
JOIN pg_catalog.pg_roles me ON me.rolname = CURRENT_USER
LEFT JOIN pg_catalog.pg_namespace n
  ON pg_catalog.quote_ident(n.nspname) = o.schema OR n.tableoid = t.tableoid AND n.oid = t.oid
LEFT JOIN pg_catalog.pg_proc f ON f.tableoid = t.tableoid AND f.oid = t.oid
LEFT JOIN pg_catalog.pg_depend m ON m.classid = t.tableoid AND m.objid = t.oid AND m.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid = m.refobjid
WHERE o.type = ANY(%(kinds)s)
AND (%(anything)s AND (t.owner = me.rolname OR n.nspname ~ '{_SCHEMA}'
    OR pg_catalog.pg_get_userbyid(n.nspowner) ~ '{_WORKSPACE}')
  OR t.owner = me.rolname AND f.prosecdef)
AND (e.oid IS NULL OR f.prosecdef OR t.owner = me.rolname AND NOT me.rolsuper AND EXISTS (
  SELECT FROM pg_catalog.pg_available_extension_versions v
  WHERE v.name = e.extname AND v.version = e.extversion AND v.superuser))
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid = t.tableoid AND i.objid = t.oid
  AND i.objsubid = 0 AND i.deptype = 'i')
ORDER BY o.type, o.identity
"""  # noqa: S608 - constants
# The admin's extension in each workspace's database doesn't count.
_HOLDS_SOMETHING = (
    "EXISTS (SELECT FROM pg_catalog.pg_shdepend s WHERE s.dbid = d.oid AND s.deptype = 'o'"
    " AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass"
    " AND s.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass"
    " AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER))"
)


def strays_in(connection: psycopg.Connection, *, anything: bool = True) -> list[Stray]:
    """Those of the connection's database.

    anything: whether the admin has no business there but with workspaces. Elsewhere only functions count that run with
    the admin's rights.
    """
    rows = connection.execute(_STRAYS, {"kinds": [*KINDS, LARGE_OBJECT], "anything": anything})
    return [
        Stray(connection.info.dbname, kind, name, owner, _removal(kind, name, extension, number))
        for kind, name, owner, extension, number in rows
    ]


def databases_to_look_at(connection: psycopg.Connection) -> list[str]:
    """The other databases of the server that may hold any.

    What is the first superuser's is written down nowhere, so for that one it is all of them.
    """
    row = connection.execute("SELECT oid < %s FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER", [_FIRST_NUMBER])
    condition = "d.datallowconn" if row.fetchone() == (True,) else _HOLDS_SOMETHING
    rows = connection.execute(
        "SELECT d.datname FROM pg_catalog.pg_database d"  # noqa: S608 - constants
        f" WHERE {condition} AND d.datname <> pg_catalog.current_database() ORDER BY d.datname"
    )
    return [database for (database,) in rows]


def _removal(kind: str, name: str, extension: str | None, number: int) -> str:
    if kind == LARGE_OBJECT:
        return f"SELECT lo_unlink({number});"
    detached = f"ALTER EXTENSION {extension} DROP {KINDS[kind]} {name}; " if extension else ""
    return f"{detached}DROP {KINDS[kind]} {name} CASCADE;"
