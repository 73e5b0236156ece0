from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clouddev', '0005_labels_of_machines'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='cronrun',
            index=models.Index(fields=['finished_at'], name='cron_run_finished'),
        ),
    ]
