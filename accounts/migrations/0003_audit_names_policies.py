"""Rows of the audit trail say by which policies what they tell of was allowed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the column; rows of before have none."""

    dependencies = [("accounts", "0002_audit_is_append_only")]

    operations = [
        migrations.AddField(
            model_name="auditevent",
            name="policies",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
    ]
