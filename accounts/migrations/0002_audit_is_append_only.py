"""The audit trail is append-only: the database itself refuses to change, delete or truncate rows of it.

TRUNCATE fires no trigger of rows, so it has one of its own.
"""

from django.db import migrations

FORBID = """
CREATE FUNCTION accounts_auditevent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$;
CREATE TRIGGER accounts_auditevent_append_only
    BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_auditevent_is_append_only();
CREATE TRIGGER accounts_auditevent_never_emptied
    BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditevent_is_append_only();
"""
ALLOW = """
DROP TRIGGER accounts_auditevent_never_emptied ON accounts_auditevent;
DROP TRIGGER accounts_auditevent_append_only ON accounts_auditevent;
DROP FUNCTION accounts_auditevent_is_append_only();
"""


class Migration(migrations.Migration):
    """Adds the triggers."""

    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
