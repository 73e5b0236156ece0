"""The cast and the stage of all tests.

alice owns things, bob is a member, charlie must see nothing; nobody has no token. Each test worker
talks to a sandbox process of its own, which begins every test as new.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts.models import User
from accounts.models.tokens import CLILogin
from accounts.oauth import keys as signing_keys
from accounts.services import tokens, users
from core import rate_limits
from fly.clients.machines_api import client as fly_client
from integrations.sources.nango import client
from tests import emptying, template_database
from tests.gunicorn_process import GunicornProcess
from tests.sandbox_process import SandboxProcess


class APIClient:
    """Calls the JSON API as the holder of a token; `token=""` is a stranger."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self._client = Client(raise_request_exception=False)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: str) -> Any:
        return self._client.get(path, parameters, headers={**self._headers, **(headers or {})})

    def head(self, path: str, **parameters: str) -> Any:
        return self._client.head(path, parameters, headers=self._headers)

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        return self._client.post(
            path,
            {} if body is None else body,
            content_type="application/json",
            headers={**self._headers, **(headers or {})},
        )

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self._client.generic(method, path, headers={**self._headers, **options.pop("headers", {})}, **options)


def make_person(login: str, **fields: Any) -> User:
    """A person as after their first sign-in."""
    user = User.objects.create_user(
        username=login, email=f"{login}@example.com", github_login=login, name=login.title(), **fields
    )
    users.ensure_personal_organization(user=user)
    return user


def token_of(user: User, **client: str) -> str:
    """A fresh access token of the person."""
    organization = users.ensure_personal_organization(user=user)
    described = CLILogin(client_name=client.get("client_name", "crayon CLI"), hostname=client.get("hostname", "laptop"))
    return tokens.issue(user=user, organization=organization, client=described, now=timezone.now())[1]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Each worker's database is a copy of one that was migrated once; pytest-django has this for us to override."""
    if os.environ.get("TEST_CLUSTER_IS_OURS"):
        connection.settings_dict["TEST"]["TEMPLATE"] = template_database.ensure(os.environ["DATABASE_URL"])


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_quickly() -> Iterator[None]:
    with emptying.by_deleting():
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_found_once() -> Iterator[None]:
    """Each test client makes a middleware of its own, and WhiteNoise's looks at a hundred files to be made."""
    find, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def add_files(self: WhiteNoiseMiddleware) -> None:
        if not found:
            find(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files)
        yield


@pytest.fixture(scope="session")
def sandbox_of_worker() -> Iterator[SandboxProcess]:
    with SandboxProcess() as process:
        yield process


@pytest.fixture
def sandbox(sandbox_of_worker: SandboxProcess, settings: Any) -> SandboxProcess:
    """The sandbox as new, with the server's settings pointing at it."""
    sandbox_of_worker.reset()
    settings.GITHUB_URL = sandbox_of_worker.github_url
    settings.GITHUB_API_URL = sandbox_of_worker.github_api_url
    settings.NANGO_SERVER_URL = sandbox_of_worker.nango_url
    settings.NANGO_SECRET_KEY = "00000000-0000-4000-8000-000000000001"
    settings.NANGO_WEBHOOK_SIGNING_KEY = "sandbox-webhook-signing-key"
    settings.FLY_API_URL = settings.FLY_PLATFORM_URL = sandbox_of_worker.fly_url
    settings.FLY_APP_URL = f"{sandbox_of_worker.fly_url}/apps/{{app}}"
    settings.FLY_API_TOKEN = "sandbox-fly-org-token"
    settings.FLY_ORG = "sandbox"
    return sandbox_of_worker


@pytest.fixture(autouse=True)
def _fresh_counts_and_cache() -> Iterator[None]:
    cache.clear()
    rate_limits.forget_all()
    _forget_clients()
    yield
    cache.clear()
    _forget_clients()


def _forget_clients() -> None:
    """Let go of what is remembered: of a pause, the list of integrations, which host made an app, the signing keys."""
    client._shared.cache_clear()
    fly_client._shared.cache_clear()
    signing_keys.forget()


@pytest.fixture
def no_workers(db: None) -> None:
    """Nothing tells of a worker: neither of one of a test before."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_workers")
        cursor.execute("DELETE FROM procrastinate_periodic_defers")


@pytest.fixture
def alice(db: None) -> User:
    return make_person("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_person("bob")


@pytest.fixture
def charlie(db: None) -> User:
    return make_person("charlie")


@pytest.fixture
def alice_api(alice: User) -> APIClient:
    return APIClient(token_of(alice))


@pytest.fixture
def bob_api(bob: User) -> APIClient:
    return APIClient(token_of(bob))


@pytest.fixture
def charlie_api(charlie: User) -> APIClient:
    return APIClient(token_of(charlie))


@pytest.fixture
def nobody_api() -> APIClient:
    return APIClient()


@pytest.fixture(scope="session")
def running_server(django_db_setup: None, sandbox_of_worker: SandboxProcess) -> Iterator[GunicornProcess]:
    """gunicorn with production settings on this worker's database and sandbox, started once."""
    with GunicornProcess(sandbox=sandbox_of_worker, preloaded=True) as server:
        yield server


@pytest.fixture
def server(transactional_db: None, sandbox: SandboxProcess, running_server: GunicornProcess) -> GunicornProcess:
    """The running server, with nothing cached, counted or logged yet."""
    running_server.restart_workers()
    sandbox.settings(webhook_url=f"{running_server.url}/webhooks/nango")
    return running_server
