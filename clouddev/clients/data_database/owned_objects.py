"""What a workspace's role owns in a database, and how all of it ends.

Whatever a workspace wrote runs with the rights of whoever owns it: a SECURITY DEFINER function, a view, a rule, a
trigger. So it goes with its role, CASCADE and all, and nothing of it is ever given to another role. Only extensions
that others use get the admin as their new owner: their members are the superuser's who made them on its behalf.
"""

import psycopg
from psycopg import sql

from clouddev.clients.data_database.connection import repeated
from clouddev.clients.data_database.errors import DataDatabaseBusy

_AT_ONCE = 200
_ROUNDS = 3

# PostgreSQL's names of kinds (pg_identify_object), in the words of DROP and of ALTER EXTENSION … DROP.
KINDS = {
    "table": "TABLE",
    "foreign table": "FOREIGN TABLE",
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
    "sequence": "SEQUENCE",
    "function": "ROUTINE",
    "procedure": "ROUTINE",
    "aggregate": "ROUTINE",
    "type": "TYPE",
    "operator": "OPERATOR",
    "operator class": "OPERATOR CLASS",
    "operator family": "OPERATOR FAMILY",
    "collation": "COLLATION",
    "conversion": "CONVERSION",
    "text search configuration": "TEXT SEARCH CONFIGURATION",
    "text search dictionary": "TEXT SEARCH DICTIONARY",
    "statistics object": "STATISTICS",
    "publication": "PUBLICATION",
    "event trigger": "EVENT TRIGGER",
    "server": "SERVER",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "language": "LANGUAGE",
    "schema": "SCHEMA",
}
LARGE_OBJECT = "large object"

# What goes along with something else has no DROP of its own. An extension's language belongs to whoever made the
# extension (only superusers write languages), and stays with it. Parts go before wholes, to hold few locks at once.
_OWNED = """
SELECT o.type, o.identity, s.objid, pg_catalog.quote_ident(e.extname)
FROM pg_catalog.pg_shdepend s
CROSS JOIN LATERAL pg_catalog.pg_identify_object(s.classid, s.objid, s.objsubid) o
LEFT JOIN pg_catalog.pg_depend m ON m.classid = s.classid AND m.objid = s.objid AND m.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid = m.refobjid
LEFT JOIN pg_catalog.pg_class c ON s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = s.objid
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o'
AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(name)s)
AND s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
AND o.type = ANY(%(kinds)s) AND NOT (o.type = 'language' AND e.oid IS NOT NULL)
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid = s.classid AND i.objid = s.objid
  AND i.objsubid = 0 AND i.deptype = 'i')
ORDER BY o.type = 'schema', c.relispartition DESC NULLS LAST, s.objid LIMIT %(most)s
"""

# Read from the owners' columns: what belongs to the server's first superuser is in no pg_shdepend.
OWNERS = {
    "pg_class": "relowner",
    "pg_proc": "proowner",
    "pg_type": "typowner",
    "pg_operator": "oprowner",
    "pg_opclass": "opcowner",
    "pg_opfamily": "opfowner",
    "pg_collation": "collowner",
    "pg_conversion": "conowner",
    "pg_ts_config": "cfgowner",
    "pg_ts_dict": "dictowner",
    "pg_statistic_ext": "stxowner",
    "pg_publication": "pubowner",
    "pg_event_trigger": "evtowner",
    "pg_foreign_server": "srvowner",
    "pg_foreign_data_wrapper": "fdwowner",
    "pg_namespace": "nspowner",
    "pg_largeobject_metadata": "lomowner",
}
_OWNED_BY_US = " UNION ALL ".join(
    f"SELECT tableoid, oid FROM pg_catalog.{table} WHERE pg_catalog.pg_get_userbyid({column}) = CURRENT_USER"  # noqa: S608 - constants
    for table, column in OWNERS.items()
)


def drop_possessions(connection: psycopg.Connection, name: str) -> None:
    """Drop all that a role owns in this database but extensions, and what stands on it; a piece per transaction.

    A transaction holds a lock for each thing it drops, and the server has only so many for everybody.
    """
    while repeated(connection, lambda connection: _drop_some(connection, name)):
        pass


def drop_last(connection: psycopg.Connection, name: str) -> None:
    """Drop, in the open transaction, all that a role owns and may in this database.

    Raises DataDatabaseBusy when something comes to belong to the role again and again.
    """
    for _ in range(_ROUNDS):
        while _drop_some(connection, name):
            pass
        if _drop_or_hand_over_extensions(connection, name):
            break
    else:
        raise DataDatabaseBusy(retry_after=1)
    connection.execute(sql.SQL("DROP OWNED BY {} RESTRICT").format(sql.Identifier(name)))


def _drop_some(connection: psycopg.Connection, name: str) -> bool:
    """Drop a number of things, or take them out of extensions first; tell whether there were any."""
    rows = connection.execute(_OWNED, {"name": name, "kinds": [*KINDS, LARGE_OBJECT], "most": _AT_ONCE}).fetchall()
    # The role added them to an extension of its own, which would be dropped in their place.
    added = [row for row in rows if row[3] is not None]
    for kind, identity, _, extension in added:
        _run(connection, f"ALTER EXTENSION {extension} DROP {KINDS[kind]} {identity}")
    for kind, identity, number, _ in [] if added else rows:
        if kind == LARGE_OBJECT:
            connection.execute("SELECT pg_catalog.lo_unlink(%s)", [number])
        else:
            _run(connection, f"DROP {KINDS[kind]} IF EXISTS {identity} CASCADE")
    return bool(rows)


def _drop_or_hand_over_extensions(connection: psycopg.Connection, name: str) -> bool:
    """Drop the role's extensions that nobody uses, and give the others to the admin.

    False, with nothing given, when something else would have been given along: a function of the role's that another
    workspace called all the while has made it since we looked. Only REASSIGN changes the owner of an extension, and
    it takes all there is at that moment, so what it took is looked at before it counts.
    """
    if not _used_extensions(connection, name):
        return True
    given = False
    with connection.transaction():
        ours = _owned_by_us(connection)
        connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(name)))
        given = _owned_by_us(connection) <= ours
        if not given:
            raise psycopg.Rollback
    return given


def _used_extensions(connection: psycopg.Connection, name: str) -> bool:
    """Drop what extensions of the role's nobody uses; tell whether others are left."""
    rows = connection.execute(
        "SELECT pg_catalog.quote_ident(extname) FROM pg_catalog.pg_extension"
        " WHERE pg_catalog.pg_get_userbyid(extowner) = %s ORDER BY oid DESC",  # those that need others come first
        [name],
    ).fetchall()
    used = False
    for (extension,) in rows:
        try:
            with connection.transaction():
                _run(connection, f"DROP EXTENSION {extension} RESTRICT")
        except psycopg.errors.DependentObjectsStillExist:
            used = True
    return used


def _owned_by_us(connection: psycopg.Connection) -> set[tuple[int, int]]:
    """All that is the admin's here, but extensions and their languages."""
    return set(connection.execute(_OWNED_BY_US).fetchall())


def _run(connection: psycopg.Connection, statement: str) -> None:
    """Run what was put together from names that PostgreSQL gave us with their quotes."""
    connection.execute(statement.encode())
