"""POST /api/auth/logout: a tool gives its token back."""

import pytest

from accounts.models import AccessToken, AuditEvent
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db
PATH = "/api/auth/logout"
REVOKED = {"data": {"status": "revoked"}}


def test_it_revokes_the_token_it_was_called_with(alice_api):
    answer = alice_api.post(PATH)
    assert (answer.status_code, answer.json(), answer["Cache-Control"]) == (200, REVOKED, "no-store")
    assert alice_api.post(PATH).status_code == 401
    assert AccessToken.objects.get().revoked_at is not None


def test_the_persons_other_tokens_go_on_working(alice, alice_api, bob_api):
    other = APIClient(token_of(alice))
    alice_api.post(PATH)
    assert other.post(PATH).json() == REVOKED
    assert bob_api.post(PATH).json() == REVOKED


def test_it_is_recorded(alice, alice_api):
    token = AccessToken.objects.get()
    answer = alice_api.post(PATH)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.actor_label) == ("access_token.revoked", alice.pk, "Alice")
    assert (event.target_type, event.target_id) == ("AccessToken", str(token.pk))
    assert (event.organization_id, event.address) == (alice.personal_organization.pk, "127.0.0.1")
    assert event.request_id == answer["X-Request-ID"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff" * 100, "text/xml", 415),
        (b"{}", "text/plain", 415),
        (b"\xff{", "application/json", 400),
        (b"[]", "application/json", 400),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_and_the_token_goes_on_working(alice_api, body, content_type, status):
    answer = alice_api.request("POST", PATH, data=body, content_type=content_type)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert alice_api.post(PATH).json() == REVOKED


@pytest.mark.parametrize(("body", "content_type"), [(b"", "text/plain"), (b"", ""), (b"{}", ""), (b'{"a": 1}', None)])
def test_no_body_and_a_json_object_are_fine(alice_api, body, content_type):
    declared = "application/json" if content_type is None else content_type
    assert alice_api.request("POST", PATH, data=body, content_type=declared).json() == REVOKED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_logs_out(alice_api, method):
    answer = alice_api.request(method, PATH)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert AccessToken.objects.get().revoked_at is None


@pytest.mark.django_db(transaction=True)
def test_logging_out_twice_at_once_is_recorded_once(alice_api):
    statuses = at_once(*[lambda: alice_api.post(PATH).status_code for _ in range(8)])
    assert set(statuses) <= {200, 401}
    assert 200 in statuses
    assert AuditEvent.objects.filter(action="access_token.revoked").count() == 1
