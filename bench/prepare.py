"""Fills the database for a measurement: one person with tokens, waiting logins, connections, an app and its log."""

import hashlib
import os
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django must be set up first
from django.utils import timezone  # noqa: E402

from accounts.models import AccessToken, CLILogin, Membership, Organization, User  # noqa: E402
from bench.fixtures import (  # noqa: E402
    APP,
    FEW,
    LOG_CHARACTERS,
    LOGINS,
    MANY,
    ORGANIZATION,
    OWN_CONNECTIONS,
    PERSON,
    TOKENS,
    connection_id,
)
from deployments.models import Build, BuildLogChunk, Deployment, FlyApp  # noqa: E402
from integrations.models import Connection  # noqa: E402

call_command("migrate", verbosity=0)
now = timezone.now()
later = now + timedelta(days=1)
Connection.objects.all().delete()
Deployment.objects.all().delete()
FlyApp.objects.all().delete()
User.objects.all().delete()
CLILogin.objects.all().delete()
user = User.objects.create(id=PERSON, username="bench", github_login="bench", email="bench@example.com")
organization = Organization.objects.create(id=ORGANIZATION, name="Bench", slug="bench", personal_for=user)
Membership.objects.create(organization=organization, user=user, role=Membership.Role.OWNER)
AccessToken.objects.bulk_create(
    AccessToken(
        digest=hashlib.sha256(token.encode()).digest(),
        user=user,
        organization=organization,
        created_at=now,
        expires_at=later,
        # Noted already for the time of the measurement, as with a token in steady use.
        last_used_at=later,
    )
    for token in TOKENS
)
CLILogin.objects.bulk_create(
    CLILogin(code=code, secret_digest=hashlib.sha256(secret.encode()).digest(), created_at=now, expires_at=later)
    for code, secret in LOGINS
)
for key in (FEW, MANY):
    for number in range(OWN_CONNECTIONS):
        Connection.objects.create(
            integration_id=key,
            connection_id=connection_id(key, number),
            provider="github",
            owner=user,
            organization=organization,
            state=Connection.State.ACTIVE,
            created_at=now,
            confirmed_at=now,
        )

_CHUNK = "#7 12.3 a line of a build's log, as long as such lines are\n" * 200
app = FlyApp.objects.create(name="crayon-bench", network="crayon-bench", state=FlyApp.State.READY, created_at=now)
deployment = Deployment.objects.create(
    owner=user,
    organization=organization,
    app_name=APP,
    fly_app=app,
    state=Deployment.State.READY,
    created_at=now,
)
build = Build.objects.create(
    deployment=deployment,
    organization=organization,
    pushed_by=user,
    state=Build.State.LIVE,
    commit="0123abcd",
    log_length=LOG_CHARACTERS // len(_CHUNK) * len(_CHUNK),
    created_at=now,
    accepted_at=now,
    finished_at=now,
)
BuildLogChunk.objects.bulk_create(
    BuildLogChunk(build=build, start=start, text=_CHUNK, created_at=now)
    for start in range(0, build.log_length, len(_CHUNK))
)
