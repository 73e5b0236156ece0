from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_access_tokens_are_found_by_revocation'),
        ('deployments', '0004_labels_of_apps'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='build',
            index=models.Index(fields=['finished_at'], name='build_finished'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('archive', ''), _negated=True), fields=['finished_at'], name='build_archive_left'),
        ),
        migrations.AddIndex(
            model_name='deployment',
            index=models.Index(condition=models.Q(('state', 'ready'), _negated=True), fields=['created_at'], name='deployment_unfinished'),
        ),
    ]
