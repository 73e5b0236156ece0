from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_people_have_a_cache_epoch'),
    ]

    operations = [
        migrations.AddField(
            model_name='clilogin',
            name='denial_told_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
