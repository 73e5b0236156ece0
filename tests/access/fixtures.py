"""alice with all that she has, who may use some of it, and what each kind of caller sends to get at it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.bearer import caller_of
from accounts.models import (
    AccessToken,
    APIKey,
    AuditEvent,
    CLILogin,
    Departure,
    Invitation,
    IssuerOrganization,
    IssuerPerson,
    Login,
    Membership,
    Organization,
    User,
)
from accounts.services import cli_login
from clouddev.models import CronJob, CronRun, IdlePolicy, Machine, WebhookToken
from deployments.models import Build, Deployment
from deployments.services import queue
from fly.models import Discrepancy, FlyApp
from integrations.models import Connection, CredentialUse, StrangeConnection
from integrations.services import connect_links
from integrations.sources.nango import ConnectSession
from tests.accounts.keys import configure, of_worker, personal
from tests.accounts.oauth.flows import make_client
from tests.accounts.organization_builders import add_to, invite, make_organization, verified
from tests.clouddev.builders import add_member, make_machine, make_offer, make_webhook_token
from tests.clouddev.cron_jobs import make_job, make_run
from tests.conftest import make_person, token_of
from tests.deployments.builders import make_build, make_deployment, make_discrepancy
from tests.operators import make_departure, make_use

_ROWS: dict[str, Any] = {
    "accounts/accesstoken": AccessToken,
    "accounts/apikey": APIKey,
    "accounts/auditevent": AuditEvent,
    "accounts/clilogin": CLILogin,
    "accounts/departure": Departure,
    "accounts/invitation": Invitation,
    "accounts/issuerorganization": IssuerOrganization,
    "accounts/issuerperson": IssuerPerson,
    "accounts/organization": Organization,
    "accounts/user": User,
    "clouddev/cronjob": CronJob,
    "clouddev/cronrun": CronRun,
    "clouddev/idlepolicy": IdlePolicy,
    "clouddev/machine": Machine,
    "clouddev/webhooktoken": WebhookToken,
    "deployments/build": Build,
    "deployments/deployment": Deployment,
    "fly/discrepancy": Discrepancy,
    "fly/flyapp": FlyApp,
    "integrations/connection": Connection,
    "integrations/credentialuse": CredentialUse,
    "integrations/strangeconnection": StrangeConnection,
    "procrastinate/procrastinatejob": ProcrastinateJob,
}


class Scene:
    """alice with all that she has, and the words that the tables use for it."""

    def __init__(self, sandbox: Any) -> None:
        self.alice = make_person("alice")
        self.token = token_of(self.alice)
        self.browser = browser_of(self.alice)
        self.browser.get("/account/apps")
        self.login = cli_login.start(
            client=CLILogin(client_name="crayon CLI", hostname="laptop", address="127.0.0.1"), now=timezone.now()
        )
        connection_id = sandbox.seed(integration="acme", tags={"end_user_id": str(self.alice.pk)})[0]
        Connection.objects.create(
            integration_id="acme",
            connection_id=connection_id,
            owner=self.alice,
            organization=self.alice.personal_organization,
            created_at=timezone.now(),
        )
        StrangeConnection.objects.create(reason="connection_id", first_seen_at=timezone.now(), seen_at=timezone.now())
        AuditEvent.objects.create(at=timezone.now(), action="user.signed_up")
        self._know_from_elsewhere()
        self.app = make_deployment(self.alice, "shop")
        self.build = make_build(self.app)
        queue.enqueue(self.build.pk)
        make_discrepancy()
        self.machine = make_machine(self.alice, "studio", sandbox=sandbox)
        self.member = make_person("member")
        add_member(self.machine, self.member)
        make_person("stranger")
        job = make_job(self.machine)
        make_run(job)
        IdlePolicy.objects.create(organization=self.alice.personal_organization)
        make_use(self.alice)
        make_client()
        login = Login.objects.create(
            user=self.alice,
            organization=self.alice.personal_organization,
            created_at=timezone.now(),
            ends_at=timezone.now() + timedelta(days=1),
        )
        self.organization = make_organization(self.alice, "team")
        add_to(self.organization, verified(self.member))
        asked = invite(self.organization, "invited@example.com", by=self.alice)
        received = invite(make_organization(self.alice, "other-team"), self.member.email, by=self.alice)
        make_departure(make_person("leaver", is_active=False))
        self.words = {
            "{login}": str(login.pk),
            "{connection}": connection_id,
            "{token}": str(AccessToken.objects.get(user=self.alice).pk),
            "{session}": str(self.alice.usersession_set.get().pk),
            "{code}": self.login.code,
            "{key}": str(personal(self.alice).row.pk),
            "{secret}": self.login.secret,
            "{app}": str(self.app.pk),
            "{build}": str(self.build.pk),
            "{machine}": str(self.machine.pk),
            "{job}": str(job.pk),
            "{offer}": str(make_offer(self.machine, self.member, "transfer").pk),
            "{jti}": str(make_webhook_token(self.machine, self.alice).pk),
            "{link}": self._link(),
            "{nango}": "https://connect.example.com/?session_token=t",
            "{dev}": self.machine.fly_app_id,
            "{dev_ui}": f"{self.machine.url}/dev/__auth/callback",
            "{org}": self.organization.slug,
            "{member_id}": str(self.member.pk),
            "{invitation}": str(asked.invitation.pk),
            "{invite_link}": asked.link.partition("=")[2],
            "{received}": str(received.invitation.pk),
            "{github}": f"{settings.GITHUB_URL}/login/oauth/authorize",
        }

    def _know_from_elsewhere(self) -> None:
        """Somebody whom an issuer has told of, and an organization of its."""
        issuer, now = "https://app.example.com", timezone.now()
        somebody = make_person("from-elsewhere")
        IssuerPerson.objects.create(issuer=issuer, subject="there", user=somebody, created_at=now, seen_at=now)
        acme = Organization.objects.create(name="Acme", slug="acme-elsewhere")
        IssuerOrganization.objects.create(issuer=issuer, organization=acme, created_at=now)

    def _link(self) -> str:
        now = timezone.now()
        session = ConnectSession("t", "https://connect.example.com/?session_token=t", now + timedelta(minutes=30))
        return connect_links.make(
            caller=caller_of(self.token, now=now), integration_id="acme", connection_id=None, session=session, now=now
        )

    def say(self, text: str, **more: str) -> str:
        for word, meaning in {**self.words, **more}.items():
            text = text.replace(word, meaning)
        return text


def browser_of(user: User | None) -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def headers_of(caller: str, scene: Scene) -> dict[str, str]:
    """What this kind of caller sends along."""
    if caller in {"nobody", "browser"}:
        return {}
    return {"Authorization": _AUTHORIZATIONS[caller](scene)}


def _bearer_of(login: str) -> Callable[[Scene], str]:
    return lambda _scene: f"Bearer {token_of(make_person(login))}"


def _expired(scene: Scene) -> str:
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    return f"Bearer {scene.token}"


def _revoked(scene: Scene) -> str:
    AccessToken.objects.update(revoked_at=timezone.now())
    return f"Bearer {scene.token}"


def _suspended(scene: Scene) -> str:
    User.objects.filter(pk=scene.alice.pk).update(is_active=False)
    return f"Bearer {scene.token}"


def _waitlisted(scene: Scene) -> str:
    User.objects.filter(pk=scene.alice.pk).update(is_active=False, waitlisted_at=timezone.now())
    return f"Bearer {scene.token}"


def _left(scene: Scene) -> str:
    Membership.objects.filter(user=scene.alice).delete()
    return f"Bearer {scene.token}"


def _service(scene: Scene) -> str:
    return f"Bearer {configure(settings, scene.alice.personal_organization, role='OWNER')}"


_AUTHORIZATIONS: dict[str, Callable[[Scene], str]] = {
    "alice": lambda scene: f"Bearer {scene.token}",
    "member": lambda scene: f"Bearer {token_of(scene.member)}",
    "bob": _bearer_of("bob"),
    "charlie": _bearer_of("charlie"),
    "garbled": lambda scene: f"Token {scene.token}",
    "unknown": lambda _scene: f"Bearer {'0' * 64}",
    "expired": _expired,
    "revoked": _revoked,
    "suspended": _suspended,
    "waitlisted": _waitlisted,
    "left": _left,
    "key": lambda scene: f"Bearer {personal(scene.alice).plain}",
    "narrowed": lambda scene: f"Bearer {personal(scene.alice, scopes=frozenset({'tools:use'})).plain}",
    "worker": lambda scene: f"Bearer {of_worker(scene.alice).plain}",
    "service": _service,
}


def row_of(path: str, scene: Scene) -> str:
    """The id of alice's row in the table that the path is about."""
    table = "/".join(path.strip("/").split("/")[1:3])
    if table == "accounts/user":
        return str(scene.alice.pk)
    if table == "accounts/organization":
        return str(scene.alice.personal_organization.pk)
    model = _ROWS.get(table)
    row = model.objects.first() if model else None
    return str(row.pk) if row else ""
