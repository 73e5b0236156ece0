from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clouddev', '0002_wishes_sizes_and_counts'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='cronrun',
            index=models.Index(fields=['finished_at'], name='cron_run_finished'),
        ),
    ]
