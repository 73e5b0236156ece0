"""Fills the database for a measurement: people with tokens, logins, connections, an app and its log, machines."""

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
    MACHINE_TOKENS,
    MACHINES,
    MANY,
    ORGANIZATION,
    OWN_CONNECTIONS,
    PERSON,
    TOKENS,
    connection_id,
    fly_names,
)
from clouddev.models import Machine, Member  # noqa: E402
from clouddev.names import linux_user_of  # noqa: E402
from deployments.models import Build, BuildLogChunk, Deployment  # noqa: E402
from fly.models import FlyApp  # noqa: E402
from integrations.models import Connection  # noqa: E402

call_command("migrate", verbosity=0)
now = timezone.now()
later = now + timedelta(days=1)
Connection.objects.all().delete()
Deployment.objects.all().delete()
Machine.objects.all().delete()
FlyApp.objects.all().delete()
User.objects.all().delete()
Organization.objects.all().delete()
CLILogin.objects.all().delete()
user = User.objects.create(id=PERSON, username="bench", github_login="bench", email="bench@example.com")
organization = Organization.objects.create(id=ORGANIZATION, name="Bench", slug="bench", personal_for=user)
Membership.objects.create(organization=organization, user=user, role=Membership.Role.OWNER)


def give_tokens(user: User, organization: Organization, tokens: list[str]) -> None:
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
        for token in tokens
    )


give_tokens(user, organization, TOKENS)
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


def make_machines(user: User, organization: Organization, count: int) -> None:
    for number, name in enumerate(fly_names(count)):
        machine = Machine(
            app_name=f"studio-{number}",
            fly_app=FlyApp.objects.create(name=name, network=name, state=FlyApp.State.READY, created_at=now),
            owner=user,
            organization=organization,
            region="iad",
            state=Machine.State.READY,
            dev_user=linux_user_of(user.pk),
            ssh_public_key="ssh-ed25519 not-a-key",
            created_at=now,
            ready_at=now,
            last_active_at=later,
        )
        machine.sealed_ssh_key = machine.seal("sealed_ssh_key", b"not a key")
        machine.save()
        Member.objects.create(
            machine=machine, user=user, role=Member.Role.OWNER, linux_user=machine.dev_user, created_at=now
        )


for count in MACHINES:
    owner = User.objects.create(username=f"bench-{count}", github_login=f"bench-{count}", email=f"{count}@example.com")
    theirs = Organization.objects.create(name=f"Bench {count}", slug=f"bench-{count}", personal_for=owner)
    Membership.objects.create(organization=theirs, user=owner, role=Membership.Role.OWNER)
    give_tokens(owner, theirs, MACHINE_TOKENS[count])
    make_machines(owner, theirs, count)
