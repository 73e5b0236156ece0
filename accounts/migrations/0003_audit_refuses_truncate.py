"""The audit trail can't be emptied either: TRUNCATE fires no trigger of rows, so it needs one of its own."""

from django.db import migrations

FORBID = """
CREATE TRIGGER accounts_auditevent_never_emptied
    BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditevent_is_append_only();
"""
ALLOW = "DROP TRIGGER accounts_auditevent_never_emptied ON accounts_auditevent;"


class Migration(migrations.Migration):
    """Adds the trigger."""

    dependencies = [("accounts", "0002_audit_is_append_only")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
