"""The keys that sign tokens, and the logins whose tokens others verify."""

import uuid

import core.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds both tables."""

    dependencies = [
        ("accounts", "0005_other_issuers"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("kid", models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ("algorithm", core.fields.ChoiceField(choices=[("RS256", "Rs256"), ("EdDSA", "Eddsa")], max_length=10)),
                ("public_jwk", models.JSONField(editable=False)),
                ("sealed_private_key", core.fields.SealedField()),
                ("created_at", models.DateTimeField()),
                ("signs_from", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={"ordering": ("-created_at", "-pk")},
        ),
        migrations.CreateModel(
            name="Login",
            fields=[
                ("client_name", models.CharField(blank=True, max_length=100)),
                ("hostname", models.CharField(blank=True, max_length=255)),
                ("address", models.GenericIPAddressField(blank=True, null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "browser",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="logins",
                        to="usersessions.usersession",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="logins",
                        to="accounts.organization",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="logins",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(fields=["ends_at"], name="login_ends_at"),
                    models.Index(
                        condition=models.Q(("revoked_at__isnull", False)),
                        fields=["revoked_at"],
                        name="login_revoked",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("browser", "organization"), name="login_once_per_browser_and_organization"
                    )
                ],
            },
        ),
    ]
