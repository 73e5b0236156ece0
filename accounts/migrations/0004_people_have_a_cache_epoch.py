from django.db import migrations

import accounts.models.people


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_audit_refuses_truncate'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='cache_epoch',
            field=accounts.models.people.EpochField(db_default=0, default=0, editable=False),
        ),
    ]
