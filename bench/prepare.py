"""Fills the fresh database of a measurement: people with tokens, logins, connections, an app and its log, machines."""

import hashlib
import os
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django must be set up first
from django.utils import timezone  # noqa: E402

from accounts.models import AccessToken, APIKey, CLILogin, Membership, Organization, User  # noqa: E402
from bench import fixtures  # noqa: E402
from clouddev.models import Machine, Member  # noqa: E402
from clouddev.names import linux_user_of  # noqa: E402
from deployments.models import Build, BuildLogChunk, Deployment  # noqa: E402
from fly.models import FlyApp  # noqa: E402
from integrations.models import Connection  # noqa: E402

_CHUNK = "#7 12.3 a line of a build's log, as long as such lines are\n" * 200
now = timezone.now()
later = now + timedelta(days=1)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def person_with(machines: int) -> User:
    """Somebody with an organization, tokens and so many machines."""
    name = f"bench-{machines}"
    own = {} if machines else {"id": fixtures.PERSON}
    user = User.objects.create(username=name, github_login=name, email=f"{name}@example.com", **own)
    organization = Organization.objects.create(name=name, slug=name, personal_for=user)
    Membership.objects.create(organization=organization, user=user, role=Membership.Role.OWNER)
    # Their last use is noted already for the time of the measurement, as with tokens in steady use.
    shared = {"user": user, "organization": organization, "created_at": now, "expires_at": later, "last_used_at": later}
    AccessToken.objects.bulk_create(AccessToken(digest=digest(token), **shared) for token in fixtures.TOKENS[machines])
    for number, fly_name in enumerate(fixtures.fly_names(machines)):
        machine = Machine(
            app_name=f"studio-{number}",
            fly_app=FlyApp.objects.create(
                name=fly_name, network=fly_name, state=FlyApp.State.READY, created_at=now, ready_at=now
            ),
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
        machine.sealed_ssh_key = b"not a key"
        machine.save()
        Member.objects.create(
            machine=machine, user=user, role=Member.Role.OWNER, linux_user=machine.dev_user, created_at=now
        )
    return user


call_command("migrate", verbosity=0)
people = [person_with(machines) for machines in fixtures.TOKENS]
home = Organization.objects.get(personal_for=people[0])
owned = {"owner": people[0], "organization": home, "created_at": now}
APIKey.objects.bulk_create(
    APIKey(
        kind=APIKey.Kind.PERSONAL,
        digest=digest(key),
        start=key[:16],
        name="bench",
        user=people[0],
        organization=home,
        created_at=now,
        expires_at=later,
        last_used_at=later,
    )
    for key in fixtures.HOLDERS[fixtures.KEYS]
)
CLILogin.objects.bulk_create(
    CLILogin(code=code, secret_digest=digest(secret), created_at=now, expires_at=later)
    for code, secret in fixtures.LOGINS
)
Connection.objects.bulk_create(
    Connection(
        integration_id=key,
        connection_id=f"{key}-{number}",
        provider="github",
        state=Connection.State.ACTIVE,
        confirmed_at=now,
        **owned,
    )
    for key in (fixtures.FEW, fixtures.MANY)
    for number in range(fixtures.OWN_CONNECTIONS)
)
app = FlyApp.objects.create(
    name="crayon-bench", network="crayon-bench", state=FlyApp.State.READY, created_at=now, ready_at=now
)
deployment = Deployment.objects.create(app_name=fixtures.APP, fly_app=app, state=Deployment.State.READY, **owned)
build = Build.objects.create(
    deployment=deployment,
    organization=deployment.organization,
    pushed_by=people[0],
    state=Build.State.LIVE,
    commit="0123abcd",
    log_length=fixtures.LOG_CHARACTERS // len(_CHUNK) * len(_CHUNK),
    created_at=now,
    accepted_at=now,
    released_at=now,
    finished_at=now,
)
BuildLogChunk.objects.bulk_create(
    BuildLogChunk(build=build, start=start, text=_CHUNK) for start in range(0, build.log_length, len(_CHUNK))
)
