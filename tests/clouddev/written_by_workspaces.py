"""What a workspace can write in PostgreSQL, by kind, and what another workspace then lets stand on it.

`{me}` is the one that writes, `{they}` a schema of the other one's in which it may, with a table `kept`.
"""

WRITTEN = {
    "routine": (
        "CREATE FUNCTION {they}.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
        (
            "ALTER TABLE kept ADD COLUMN g int GENERATED ALWAYS AS ({they}.f(id)) STORED, ADD CHECK ({they}.f(id) = 1);"
            "CREATE INDEX ON kept ({they}.f(id)); CREATE POLICY p ON kept USING ({they}.f(id) = 1)"
        ),
    ),
    "procedure": (
        "CREATE PROCEDURE {they}.f() LANGUAGE sql AS 'SELECT 1'",
        "SELECT 1",
    ),
    "trigger": (
        (
            "CREATE FUNCTION {they}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
            "CREATE TRIGGER t BEFORE INSERT ON {they}.kept FOR EACH ROW EXECUTE FUNCTION {they}.f()"
        ),
        "CREATE TRIGGER u BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION {they}.f()",
    ),
    "view": ("CREATE VIEW {they}.v AS SELECT 1 AS one", "CREATE VIEW mine AS SELECT * FROM {they}.v"),
    "materialized view": (
        "CREATE MATERIALIZED VIEW {they}.v AS SELECT 1",
        "CREATE VIEW mine AS SELECT * FROM {they}.v",
    ),
    "rule": (
        "CREATE TABLE {they}.t (id int); CREATE RULE r AS ON INSERT TO {they}.t DO ALSO SELECT 1",
        "CREATE VIEW mine AS SELECT * FROM {they}.t",
    ),
    "operator": (
        (
            "CREATE FUNCTION {they}.f(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE OPERATOR {they}.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = {they}.f)"
        ),
        "CREATE VIEW mine AS SELECT 1 OPERATOR({they}.@@@) 1",
    ),
    "aggregate": (
        "CREATE AGGREGATE {they}.a(int) (SFUNC = int4pl, STYPE = int)",
        "CREATE VIEW mine AS SELECT {they}.a(id) FROM kept",
    ),
    "type": ("CREATE TYPE {they}.c AS (a int)", "ALTER TABLE kept ADD COLUMN c {they}.c"),
    "enumeration": ("CREATE TYPE {they}.e AS ENUM ('a')", "ALTER TABLE kept ADD COLUMN e {they}.e"),
    "range": ("CREATE TYPE {they}.r AS RANGE (SUBTYPE = int)", "ALTER TABLE kept ADD COLUMN r {they}.r"),
    "domain": ("CREATE DOMAIN {they}.d AS int CHECK (value > 0)", "ALTER TABLE kept ADD COLUMN d {they}.d"),
    "cast": (
        (
            "CREATE TYPE {they}.c AS (a int);"
            "CREATE FUNCTION {they}.f({they}.c) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE CAST ({they}.c AS int) WITH FUNCTION {they}.f({they}.c)"
        ),
        "CREATE VIEW mine AS SELECT ROW(1)::{they}.c::int",
    ),
    "sequence": (
        "CREATE SEQUENCE {they}.s; GRANT ALL ON {they}.s TO PUBLIC",
        "ALTER TABLE kept ALTER COLUMN id SET DEFAULT nextval('{they}.s')",
    ),
    "table": (
        (
            "CREATE TABLE {they}.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial);"
            "CREATE STATISTICS {they}.x ON id, s FROM {they}.t; GRANT ALL ON {they}.t TO PUBLIC"
        ),
        "ALTER TABLE kept ADD FOREIGN KEY (id) REFERENCES {they}.t NOT VALID",
    ),
    "partitions": (
        (
            "CREATE TABLE {they}.t (id int PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE {they}.t1 PARTITION OF {they}.t FOR VALUES FROM (0) TO (9)"
        ),
        "CREATE VIEW mine AS SELECT * FROM {they}.t1",
    ),
    "collation": (
        'CREATE COLLATION {they}.c FROM "C"',
        "ALTER TABLE kept ADD COLUMN c text COLLATE {they}.c",
    ),
    "conversion": ("CREATE CONVERSION {they}.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", "SELECT 1"),
    "text search": (
        (
            "CREATE TEXT SEARCH DICTIONARY {they}.d (TEMPLATE = simple);"
            "CREATE TEXT SEARCH CONFIGURATION {they}.c (COPY = simple);"
            "ALTER TEXT SEARCH CONFIGURATION {they}.c ALTER MAPPING REPLACE simple WITH {they}.d"
        ),
        "CREATE INDEX ON kept USING gin (to_tsvector('{they}.c', words))",
    ),
    "publication": ("CREATE PUBLICATION {me}", "SELECT 1"),
    "large object": ("SELECT lo_create(0)", "SELECT 1"),
    "default rights": (
        (
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {they} GRANT SELECT ON TABLES TO PUBLIC"
        ),
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {me}",
    ),
    "quoted names": (
        (
            'CREATE FUNCTION {they}."f; DROP TABLE x ""%s{{}}"(int) RETURNS int LANGUAGE sql AS \'SELECT 1\';'
            'CREATE TABLE {they}."t.u ""%(x)s" (id int)'
        ),
        'CREATE VIEW mine AS SELECT {they}."f; DROP TABLE x ""%s{{}}"(1) FROM {they}."t.u ""%(x)s"',
    ),
}
