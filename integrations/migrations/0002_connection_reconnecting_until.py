from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='reconnecting_until',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
