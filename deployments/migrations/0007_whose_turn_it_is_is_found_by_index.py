from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_access_tokens_are_found_by_revocation'),
        ('deployments', '0006_states_and_refusals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('started_at__isnull', False)), fields=['organization', '-started_at'], name='build_last_begun'),
        ),
    ]
