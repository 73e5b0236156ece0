from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0003_unfinished_connections'),
    ]

    operations = [
        migrations.CreateModel(
            name='StrangeConnection',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('integration_id', models.CharField(blank=True, max_length=255)),
                ('connection_id', models.CharField(blank=True, max_length=255)),
                ('reason', models.CharField(max_length=100, verbose_name='what is wrong')),
                ('first_seen_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(verbose_name='last seen at Nango')),
            ],
            options={
                'verbose_name': "connection that can't be used",
                'verbose_name_plural': "connections that can't be used",
                'ordering': ('-first_seen_at', '-pk'),
                'constraints': [models.UniqueConstraint(fields=('integration_id', 'connection_id'), name='strange_connection_is_once')],
            },
        ),
    ]
