"""Who no longer fits the sign-up policy, how looks at providers went, and whose listed names are."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.fields


class Migration(migrations.Migration):
    """Makes the three tables."""

    dependencies = [
        ("accounts", "0008_organizations"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderLook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50, unique=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("missed", models.JSONField(default=dict, editable=False)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="ListedName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    core.fields.ChoiceField(choices=[("login", "Login"), ("organization", "Organization")], max_length=12),
                ),
                ("name", models.CharField(max_length=100)),
                ("github_id", models.BigIntegerField()),
                ("first_used_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "ordering": ("kind", "name"),
                "constraints": [models.UniqueConstraint(fields=("kind", "name"), name="listed_name_is_one_account")],
            },
        ),
        migrations.CreateModel(
            name="Departure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=300, verbose_name="why")),
                (
                    "found_by",
                    core.fields.ChoiceField(
                        choices=[("look", "the hourly look"), ("sign-in", "their own sign-in")],
                        max_length=10,
                        verbose_name="noticed by",
                    ),
                ),
                ("left_at", models.DateTimeField(verbose_name="out since")),
                ("ended", models.JSONField(default=dict, editable=False)),
                (
                    "outcome",
                    core.fields.ChoiceField(
                        choices=[
                            ("out", "out"),
                            ("back", "came back"),
                            ("restored", "restored by an operator"),
                            ("mistake", "was wrong"),
                            ("suspended", "suspended by an operator"),
                        ],
                        default="out",
                        max_length=10,
                    ),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="decided at")),
                (
                    "closed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="decided by",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="departures",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "leaver",
                "verbose_name_plural": "leavers",
                "ordering": ("-left_at", "-pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("closed_at__isnull", False)), fields=["closed_at"], name="departure_closed"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("outcome", "out")), fields=("user",), name="departure_open_once"
                    )
                ],
            },
        ),
    ]
