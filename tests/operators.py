"""Operators in a browser, and a server with one of everything that they may look at."""

import base64
import uuid
from typing import Any

from allauth.usersessions.models import UserSession
from django.test import Client
from django.utils import timezone

from accounts.models import AccessToken, APIKey, CLILogin, Departure, Invitation, User
from accounts.services import users
from clouddev.models import CronJob, IdlePolicy, Machine
from deployments.models import Build
from deployments.services import queue
from integrations.models import Connection, CredentialUse
from tests.accounts.keys import of_worker, personal
from tests.accounts.organization_builders import invite, make_organization
from tests.clouddev.builders import add_member, make_machine, make_webhook_token
from tests.clouddev.cron_jobs import make_job, make_run
from tests.conftest import APIClient, make_person, token_of
from tests.deployments.builders import make_build, make_deployment, make_discrepancy

PASSWORD = "visibly-fake-password-1"

LISTS = (
    "/admin/accounts/user/",
    "/admin/accounts/organization/",
    "/admin/accounts/invitation/",
    "/admin/accounts/accesstoken/",
    "/admin/accounts/clilogin/",
    "/admin/accounts/departure/",
    "/admin/accounts/auditevent/",
    "/admin/clouddev/machine/",
    "/admin/clouddev/webhooktoken/",
    "/admin/clouddev/cronjob/",
    "/admin/clouddev/cronrun/",
    "/admin/clouddev/idlepolicy/",
    "/admin/deployments/deployment/",
    "/admin/deployments/build/",
    "/admin/fly/flyapp/",
    "/admin/fly/discrepancy/",
    "/admin/procrastinate/procrastinatejob/",
    "/admin/integrations/connection/",
    "/admin/integrations/credentialuse/",
)


def make_operator(login: str = "operator", *, superuser: bool = True, password: str | None = None) -> User:
    """An operator; without a password, which takes its time to hash, they sign in with GitHub only."""
    return make_person(login, is_staff=True, is_superuser=superuser, password=password)


def browser_of(user: User) -> Client:
    """A browser in which the person is signed in; a crash shows as status 500."""
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    return browser


def connection_of(user: User, integration_id: str = "salesforce", **fields: Any) -> Connection:
    """A connected account as we record it."""
    defaults = {
        "integration_id": integration_id,
        "connection_id": f"{user.username}-{integration_id}",
        "provider": integration_id,
        "owner": user,
        "organization": users.ensure_personal_organization(user=user),
        "created_at": timezone.now(),
    }
    if fields.get("state") == Connection.State.DELETING:
        defaults["deleting_since"] = timezone.now()
    return Connection.objects.create(**{**defaults, **fields})


def make_departure(user: User, **fields: Any) -> Departure:
    """The row of somebody who no longer fits the sign-up policy; shutting them out is another matter."""
    defaults: dict[str, Any] = {"reason": "Their login is not listed.", "found_by": "look", "left_at": timezone.now()}
    return Departure.objects.create(user=user, **{**defaults, **fields})


def make_use(user: User, **fields: Any) -> CredentialUse:
    """A row of the use log."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "token_id": uuid.uuid4(),
        "person_id": user.pk,
        "person_label": user.display_name,
        "organization_id": user.personal_organization.pk,
        "integration_id": "salesforce",
        "connection_id": f"{user.username}-salesforce",
        "hour": now.replace(minute=0, second=0, microsecond=0),
        "count": 1,
        "first_at": now,
        "last_at": now,
    }
    return CredentialUse.objects.create(**{**defaults, **fields})


def log_a_tool_in(user: User) -> dict[str, str]:
    """Take a CLI through its login: its code, secret and token."""
    nobody = APIClient()
    started = nobody.post("/api/auth/cli/session", {"hostname": "laptop"}).json()["data"]
    answer = browser_of(user).post("/auth/cli", {"cli_code": started["code"], "decision": "approve"})
    assert answer.status_code == 200
    check = nobody.get("/api/auth/cli/check", code=started["code"], secret=started["secret"]).json()["data"]
    return {**started, "token": check["token"]}


def fill(alice: User, bob: User) -> None:
    """A little of everything."""
    token_of(bob)
    personal(alice)
    of_worker(alice)
    invite(make_organization(alice), "invited@example.com", by=alice)
    connection_of(alice)
    connection_of(bob, needs_reconnect=True)
    users.suspend(user=bob, by=alice)
    shop = make_deployment(alice, "shop")
    make_build(shop, state=Build.State.LIVE, log="Built.\n")
    queue.enqueue(make_build(shop, sealed_environment=b"visibly-fake-sealed-value").pk)
    make_discrepancy()
    make_machine(alice, "attic", state=Machine.State.CREATING, sealed_environment=b"visibly-fake-sealed-values")
    studio = make_machine(alice, "studio")
    add_member(studio, bob)
    make_webhook_token(studio, bob)
    make_run(make_job(studio, input={"secret": "visibly-fake-input"}))
    make_use(alice)
    make_departure(make_person("leaver", is_active=False), ended={"browser sessions": 1})
    IdlePolicy.objects.create(organization=alice.personal_organization, stop_after_minutes=30)


def every_page(browser: Client) -> list[str]:
    """The address of every page there is to look at, with those that should be refused."""
    pages = [
        "/admin/",
        "/admin/accounts/",
        "/admin/deployments/",
        "/admin/clouddev/",
        "/admin/integrations/",
        "/admin/password_change/",
    ]
    models = {path: _model_of(path) for path in LISTS}
    for path, model in models.items():
        pages += [path, f"{path}?q=alice", f"{path}?q=nobody-like-this", f"{path}?o=1", f"{path}?e=1", f"{path}add/"]
        for row in model.objects.all():
            pages += [f"{path}{row.pk}/{page}" for page in ("change/", "history/", "delete/")]
            if model is User:
                pages += [f"{path}{row.pk}/password/", f"{path}{row.pk}/suspend_one/"]
    owner = "app_label=accounts&model_name=accesstoken&field_name=user"
    pages += [f"/admin/autocomplete/?term=&{owner}", "/admin/search/?s=people", "/admin/search/?s=alice&extended=1"]
    return pages


def spellings(secret: bytes) -> set[str]:
    """How a page might show these bytes."""
    encoded = base64.b64encode(secret).decode()
    return {secret.hex(), encoded, encoded.rstrip("="), base64.urlsafe_b64encode(secret).decode(), repr(secret)[2:-1]}


def secrets_in_the_database() -> dict[str, str]:
    """Each stored secret in each spelling, and where it is stored."""
    found: dict[str, str] = {}
    for token in AccessToken.objects.all():
        found |= dict.fromkeys(spellings(bytes(token.digest)), "a token's digest")
    for key in APIKey.objects.all():
        found |= dict.fromkeys(spellings(bytes(key.digest)), "an API key's digest")
    for login in CLILogin.objects.all():
        found |= dict.fromkeys(spellings(bytes(login.secret_digest)), "the digest of a CLI's secret")
        if login.sealed_token:
            found |= dict.fromkeys(spellings(bytes(login.sealed_token)), "a sealed token")
        found[login.code] = "a code"
    for invitation in Invitation.objects.all():
        found |= dict.fromkeys(spellings(bytes(invitation.digest)), "the digest of an invitation's link")
    for build in Build.objects.exclude(sealed_environment=None):
        found |= dict.fromkeys(spellings(bytes(build.sealed_environment)), "a sealed environment")
    for machine in Machine.objects.all():
        found |= dict.fromkeys(spellings(bytes(machine.sealed_ssh_key)), "a sealed SSH key")
        if machine.sealed_environment:
            found |= dict.fromkeys(spellings(bytes(machine.sealed_environment)), "a machine's sealed environment")
    found |= {str(job.input["secret"]): "what a workflow is given" for job in CronJob.objects.all()}
    found |= {user.password: "a password's hash" for user in User.objects.all() if user.has_usable_password()}
    found |= {session.session_key: "a session key" for session in UserSession.objects.all()}
    return found


def _model_of(path: str) -> Any:
    from django.apps import apps  # noqa: PLC0415 - needs the app registry

    _, _, app, model, _ = path.split("/")
    return apps.get_model(app, model)
