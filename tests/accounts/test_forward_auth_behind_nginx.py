"""A service behind nginx with the configuration that docs/integrating.md has: who reaches it, and what it is told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AccessToken, Membership
from dev.ports import free_port
from tests.accounts.keys import of_worker, personal
from tests.conftest import token_of
from tests.nginx_process import Proxy, Service, blocks

pytestmark = [pytest.mark.needs_nginx, pytest.mark.slow(10)]
(CONFIGURATION,) = blocks("docs/integrating.md", "nginx")
CRAYON, SERVICE = "http://crayon.internal:8000", "http://service.internal:9000"
NAMES = ["x-auth-subject", "x-auth-org", "x-auth-role", "x-auth-type"]
CLAIMED = {
    **dict.fromkeys(["X-Auth-Subject", "x-auth-org", "X-AUTH-ROLE", "X-Auth-Type", "X-Auth-Admin"], "claimed"),
    **dict.fromkeys(["X_Auth_Subject", "X-Auth_Org"], "claimed"),
}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def proxy(server: Any, service: Service) -> Iterator[Proxy]:
    with Proxy(CONFIGURATION, {CRAYON: server.url, SERVICE: service.url, "crayon.example.com": "localhost"}) as running:
        yield running


def auth_headers(asked: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in asked["headers"] if name.replace("_", "-").startswith("x-auth"))


def test_who_is_let_in_is_told_to_the_service_and_the_credential_is_not(alice, proxy, service):
    organization = str(alice.personal_organization.pk)
    worker = of_worker(alice)
    for credential, subject, role, kind in (
        (token_of(alice), str(alice.pk), "owner", "user"),
        (personal(alice).plain, str(alice.pk), "owner", "user"),
        (worker.plain, str(worker.row.pk), "worker", "worker"),
    ):
        answer = proxy.request("POST", "/things?scope=a&scope=b", credential, body=b"x" * 5000)
        assert (answer.status, answer.data) == (200, b"ok")
        asked = service.asked.pop()
        assert (asked["path"], asked["body"]) == ("/things?scope=a&scope=b", b"x" * 5000)
        assert auth_headers(asked) == sorted(zip(NAMES, [subject, organization, role, kind], strict=True))
        assert credential not in str(asked["headers"])


@pytest.mark.parametrize("path", ["/things", "/public/things"])
def test_what_a_client_claims_never_reaches_the_service(alice, proxy, service, path):
    assert proxy.request("GET", path, token_of(alice), headers=CLAIMED).status == 200
    seen = auth_headers(service.asked.pop())
    assert "claimed" not in [value for name, value in seen if name in NAMES]
    assert [name for name, _ in seen] == (["x-auth-admin", *sorted(NAMES)] if path == "/things" else ["x-auth-admin"])


def test_whoever_is_not_let_in_reaches_nothing(alice, proxy, service):
    token = token_of(alice)
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for credential in ("", "garbled", token):
        answer = proxy.request("GET", "/things", credential, headers=CLAIMED)
        assert (answer.status, answer.headers["WWW-Authenticate"][:21]) == (401, 'Bearer realm="crayon"')
    left = personal(alice)
    Membership.objects.filter(user=alice).delete()
    assert proxy.request("GET", "/things", left.plain).status == 403
    assert service.asked == []


def test_nobody_asks_the_decision_from_outside(proxy):
    assert proxy.request("GET", "/_crayon_verify").status == 404


def test_access_that_ends_ends_with_the_next_request(alice, proxy, service):
    token = token_of(alice)
    assert proxy.request("GET", "/things", token).status == 200
    AccessToken.objects.update(revoked_at=timezone.now())
    assert proxy.request("GET", "/things", token).status == 401
    assert len(service.asked) == 1


def test_while_this_server_is_away_nobody_is_let_in(service):
    away = f"http://127.0.0.1:{free_port()}"
    with Proxy(CONFIGURATION, {CRAYON: away, SERVICE: service.url}) as proxy:
        assert proxy.request("GET", "/things", "a" * 64).status == 500
        assert proxy.request("GET", "/public/things").status == 200
    assert [asked["path"] for asked in service.asked] == ["/public/things"]
