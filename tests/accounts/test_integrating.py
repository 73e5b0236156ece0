"""The examples of docs/integrating.md, each run as it stands: they know who acts, and let nobody else in."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from accounts.models import APIKey, Login
from accounts.oauth import keys
from dev.ports import LOOPBACK, free_port
from dev.programs import node_packages, node_path
from tests.accounts.keys import of_worker, personal
from tests.accounts.oauth.flows import make_client
from tests.conftest import token_of
from tests.nginx_process import Proxy, blocks

pytestmark = pytest.mark.slow(10)
DOCUMENT = "docs/integrating.md"
# In the order of the document: keys offline, introspection, validate-key, and a service behind a proxy.
PYTHON, NODE = blocks(DOCUMENT, "python"), blocks(DOCUMENT, "js")
CONFIGURATION = blocks(DOCUMENT, "nginx")[0]
CLIENT = {"CLIENT_ID": "service", "CLIENT_SECRET": "visibly-fake-client-secret"}
LANGUAGES = [pytest.param("python"), pytest.param("node", marks=pytest.mark.needs_node_packages)]


def command(language: str, number: int, *words: str) -> tuple[list[str], bytes, Path | None]:
    """How this example is started, what it reads, and where."""
    if language == "python":
        return [sys.executable, "-W", "error", "-c", PYTHON[number], *words], b"", None
    # Read from standard input, it finds packages where it runs.
    return [str(node_path()), "--input-type=module", "-", *words], NODE[number].encode(), node_packages()


@pytest.fixture
def issuing(server: Any, alice: Any) -> Any:
    """The server, with what alice can show to a service."""
    keys.ensure(now=timezone.now())
    make_client(client_id="service", client_type="confidential", client_secret=CLIENT["CLIENT_SECRET"])
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={browser.session.session_key}"
    answer = server.request("GET", "/api/auth/token", headers={"Cookie": cookie})
    assert answer.status == 200, answer.data
    who = [str(alice.pk), str(alice.personal_organization.pk), "owner"]
    return SimpleNamespace(url=server.url, token=str(answer.json()["token"]), who=who, server=server)


def ran(issuing: Any, language: str, number: int, credential: str, *, url: str = "") -> tuple[int, list[str], str]:
    words, script, folder = command(language, number, credential)
    environment = {"PATH": os.environ["PATH"], "CRAYON_URL": url or issuing.url, **CLIENT}
    done = subprocess.run(
        words, env=environment, cwd=folder, input=script, capture_output=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode().split(), done.stderr.decode()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", [0, 1], ids=["keys offline", "introspection"])
def test_a_token_is_known_and_a_changed_one_is_not(issuing, language, number):
    status, who, said = ran(issuing, language, number, issuing.token)
    assert (status, who) == (0, issuing.who), said
    head, body, signature = issuing.token.split(".")
    # The signature's first character: all bits of the last one needn't count.
    changed = f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for other in (changed, f"{head}.{body}.", "x"):
        status, who, said = ran(issuing, language, number, other)
        assert (status, who, "nobody" in said) == (1, [], True), said


@pytest.mark.parametrize("language", LANGUAGES)
def test_introspection_knows_at_once_that_a_login_has_ended(issuing, language):
    Login.objects.update(revoked_at=timezone.now())
    assert ran(issuing, language, 1, issuing.token)[:2] == (1, [])
    assert ran(issuing, language, 0, issuing.token)[:2] == (0, issuing.who), (
        "the document says so: offline it isn't noticed"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_is_known_until_it_is_revoked(issuing, alice, language):
    key, worker = personal(alice), of_worker(alice)
    status, who, said = ran(issuing, language, 2, key.plain)
    assert (status, who) == (0, issuing.who), said
    assert ran(issuing, language, 2, worker.plain)[1] == [str(worker.row.pk), issuing.who[1], "worker"]
    APIKey.objects.update(revoked_at=timezone.now())
    status, who, said = ran(issuing, language, 2, key.plain)
    assert (status, who, "nobody" in said) == (1, [], True)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", [0, 1, 2], ids=["keys offline", "introspection", "validate-key"])
def test_while_the_server_is_away_nobody_is_let_in(issuing, alice, language, number):
    credential = personal(alice).plain if number == 2 else issuing.token
    status, who, _ = ran(issuing, language, number, credential, url=f"http://{LOOPBACK}:{free_port()}")
    assert (status != 0, who) == (True, [])


@contextmanager
def service(language: str) -> Iterator[str]:
    """The example of a service, running; gives its address."""
    port = free_port()
    words, script, folder = command(language, 3)
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    process = subprocess.Popen(
        words, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(script)
    process.stdin.close()
    url = f"http://{LOOPBACK}:{port}"
    try:
        _wait_for(url, time.monotonic() + 30, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str, deadline: float, process: "subprocess.Popen[bytes]") -> None:
    with urllib3.PoolManager(retries=False, timeout=5) as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                assert http.request("GET", url).status == 401, "without the headers there is nobody"
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError("the example did not start")


@pytest.mark.needs_nginx
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_service_behind_nginx_believes_its_proxy(issuing, alice, language):
    with service(language) as url:
        places = {
            "http://crayon.internal:8000": issuing.url,
            "http://service.internal:9000": url,
            "crayon.example.com": "localhost",
        }
        with Proxy(CONFIGURATION, places) as proxy:
            for credential in (issuing.token, token_of(alice), personal(alice).plain):
                answer = proxy.request("GET", "/things", credential)
                assert (answer.status, answer.data.decode().split()) == (200, issuing.who)
            assert proxy.request("GET", "/things").status == 401
            claimed = {"X-Auth-Subject": "alice", "X-Auth-Org": "acme", "X-Auth-Role": "owner"}
            assert proxy.request("GET", "/public/things", headers=claimed).status == 401
