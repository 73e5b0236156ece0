from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0002_connection_reconnecting_until'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='deleting_since',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='to be deleted since'),
        ),
        migrations.AddField(
            model_name='connection',
            name='deleted_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='failures',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False, verbose_name='failed attempts to finish'),
        ),
        migrations.AddField(
            model_name='connection',
            name='try_again_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        # What was being deleted before is late already, and shows as such.
        migrations.RunSQL(
            "UPDATE integrations_connection SET deleting_since = COALESCE(claimed_at, created_at) WHERE state = 'deleting'",
            migrations.RunSQL.noop,
        ),
    ]
