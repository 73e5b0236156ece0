"""Slugs of deleted organizations, which the database itself keeps and gives to nobody else.

The second trigger fires after the row is there: whoever waited for a deletion of the same slug then sees what it wrote.
An organization that comes back with its id, as CONFIG_FILE has it, has its slug again.
"""

from django.db import migrations, models

RETIRE = """
CREATE FUNCTION accounts_organization_retires_slug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO accounts_retiredslug (slug, organization_id, retired_at) VALUES (OLD.slug, OLD.id, now())
    ON CONFLICT (slug) DO UPDATE SET organization_id = EXCLUDED.organization_id, retired_at = EXCLUDED.retired_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER accounts_organization_retires_slug
    AFTER DELETE ON accounts_organization
    FOR EACH ROW EXECUTE FUNCTION accounts_organization_retires_slug();
CREATE FUNCTION accounts_organization_takes_no_retired_slug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM accounts_retiredslug WHERE slug = NEW.slug AND organization_id <> NEW.id) THEN
        RAISE EXCEPTION 'this slug was another organization''s' USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER accounts_organization_takes_no_retired_slug
    AFTER INSERT OR UPDATE OF slug ON accounts_organization
    FOR EACH ROW EXECUTE FUNCTION accounts_organization_takes_no_retired_slug();
"""
GIVE_AWAY = """
DROP TRIGGER accounts_organization_takes_no_retired_slug ON accounts_organization;
DROP FUNCTION accounts_organization_takes_no_retired_slug();
DROP TRIGGER accounts_organization_retires_slug ON accounts_organization;
DROP FUNCTION accounts_organization_retires_slug();
"""


class Migration(migrations.Migration):
    """Adds the table and its triggers."""

    dependencies = [("accounts", "0010_device_logins")]
    operations = [
        migrations.CreateModel(
            name="RetiredSlug",
            fields=[
                ("slug", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("organization_id", models.UUIDField()),
                ("retired_at", models.DateTimeField()),
            ],
            options={"ordering": ("slug",)},
        ),
        migrations.RunSQL(RETIRE, GIVE_AWAY),
    ]
