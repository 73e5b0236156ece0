"""Devices' logins in the table of the CLI's, and a challenge that only the tool can answer."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_leavers'),
    ]

    operations = [
        migrations.AddField(
            model_name='clilogin',
            name='access_epoch',
            field=models.BigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='client',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.oauthclient'),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='code_challenge',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=128),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='interval',
            field=models.PositiveSmallIntegerField(db_default=5, default=5, editable=False),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='organization',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.organization'),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='polled_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='resource',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='clilogin',
            name='scope',
            field=models.TextField(blank=True, db_default=''),
        ),
        migrations.AddIndex(
            model_name='clilogin',
            index=models.Index(condition=models.Q(('client__isnull', False)), fields=['secret_digest'], name='cli_login_of_device'),
        ),
    ]
