"""Two servers of ours, one trusting the other by the two files that its kind of service has, but for addresses."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.oauth import keys
from tests import template_database
from tests.accounts.keys import of_worker, personal
from tests.conftest import make_person
from tests.gunicorn_process import GunicornProcess, environment_at
from tests.sandbox_process import SandboxProcess

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests" / "core" / "config_files"
LIST = "/api/cloud-dev/list"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow(40)]


@contextmanager
def another_database() -> Iterator[str]:
    """The address of a database of its own, which is migrated and empty."""
    parts = connection.settings_dict
    server = f"postgres://{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}"
    name = f"{parts['NAME']}_other"
    copied = (
        f" TEMPLATE {template_database.ensure(f'{server}/postgres')}" if os.environ.get("TEST_CLUSTER_IS_OURS") else ""
    )
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        admin.execute(f'CREATE DATABASE "{name}"{copied}'.encode())
        try:
            yield f"{server}/{name}"
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def manage(environment: dict[str, str], *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def issuing(server: GunicornProcess) -> Any:
    """The server that signs people in, with alice, her browser and her keys."""
    keys.ensure(now=timezone.now())
    alice = make_person("acme", is_active=True)
    User.objects.filter(pk=alice.pk).update(name="Alice")
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={browser.session.session_key}"

    def token() -> str:
        answer = server.request("GET", "/api/auth/token", headers={"Cookie": cookie})
        assert answer.status == 200, answer.data
        return str(answer.json()["token"])

    return SimpleNamespace(
        server=server, token=token, personal=personal(alice).plain, worker=of_worker(alice).plain, person=alice
    )


@contextmanager
def trusting(issuing: Any, sandbox: SandboxProcess, file: str, folder: Path, **more: str) -> Iterator[GunicornProcess]:
    """The other server, with this file; its addresses are those of here."""
    with another_database() as database:
        text = (FILES / file).read_text(encoding="utf-8")
        path = folder / "config.toml"
        path.write_text(
            text.replace("https://app.example.com", issuing.server.url).replace(
                "postgres://crayon:visibly-fake@127.0.0.1:9/crayon", database
            ),
            encoding="utf-8",
        )
        environment = {"DATABASE_URL": "", "CONFIG_FILE": str(path), **more}
        manage({**environment_at(sandbox), "PUBLIC_URL": "http://localhost:1", **environment}, "migrate", "--noinput")
        manage({**environment_at(sandbox), "PUBLIC_URL": "http://localhost:1", **environment}, "sync_organizations")
        with GunicornProcess(sandbox=sandbox, environment=environment) as other:
            yield other


def told(server: GunicornProcess, credential: str) -> tuple[int, Any]:
    answer = server.request("GET", LIST, token=credential)
    return answer.status, answer.json()


def test_one_organizations_own_server_takes_its_applications_tokens_and_keys(issuing, sandbox, tmp_path):
    with trusting(issuing, sandbox, "self_hosted.toml", tmp_path) as other:
        assert told(other, issuing.token()) == (200, {"data": []})
        assert told(other, issuing.personal) == (200, {"data": []})
        assert told(other, issuing.worker)[0] == 403, "known, and no person"
        assert told(issuing.server, issuing.token()) == (200, {"data": []})
        assert told(other, issuing.token() + "x")[0] == 401
        assert told(other, issuing.personal[:-1] + ("0" if issuing.personal[-1] != "0" else "1"))[0] == 401
        revoked = personal(issuing.person)
        issuing.person.api_keys.filter(pk=revoked.row.pk).update(revoked_at=timezone.now())
        assert told(other, revoked.plain)[0] == 401
        # The application goes away: with its public keys its tokens are still known; about a new key nobody can tell.
        last, unknown = issuing.token(), personal(issuing.person).plain
        issuing.server.kill()
        try:
            assert told(other, last)[0] == 200
            assert told(other, unknown) == (
                503,
                {"error": "Where this token or key comes from can't be asked right now. Please try again in a moment."},
            )
        finally:
            issuing.server.start()
        assert issuing.personal not in other.log
        assert last not in other.log


def test_a_server_for_many_customers_makes_organizations_only_where_it_is_told_to(issuing, sandbox, tmp_path):
    with trusting(issuing, sandbox, "many_customers.toml", tmp_path) as other:
        refusal = (403, {"error": "unknown_organization", "message": "Unknown organization: acme"})
        assert told(other, issuing.token()) == refusal
        assert told(other, issuing.personal) == refusal
    with trusting(issuing, sandbox, "many_customers.toml", tmp_path, ORGS_AUTO_CREATE="true") as other:
        assert told(other, issuing.personal)[0] == 403, "by a token alone"
        assert told(other, issuing.token()) == (200, {"data": []})
        assert told(other, issuing.personal) == (200, {"data": []})
