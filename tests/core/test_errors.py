"""What callers see of errors: one sentence, as JSON for machines and as a page for people."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from core.errors import Conflict, TooManyRequests, UpstreamFailed

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def breaking(monkeypatch):
    """Let the page /account/apps and the logins' start raise the exception."""

    def break_with(error):
        def fail(*_args, **_kwargs):
            raise error

        monkeypatch.setattr("accounts.services.cli_login.start", fail)
        monkeypatch.setattr("accounts.services.tokens.working_tokens", fail)

    return break_with


@pytest.mark.parametrize("path", ["/api/", "/api/nowhere", "/api/auth/cli/session/", "/_/nowhere", "/webhooks/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_machines_read_json_at_unknown_addresses(client, path, method):
    answer = client.generic(method, path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert answer.json() == {"error": "Not found"}


@pytest.mark.parametrize("path", ["/nowhere", "/auth/"])
def test_in_development_people_read_the_same_page(client, path, settings):
    usual = client.get(path)
    settings.DEBUG = True
    answer = client.get(path)
    assert (answer.status_code, answer.content) == (404, usual.content)
    assert b"There is nothing at this address." in answer.content


@pytest.mark.parametrize("path", ["/nowhere", "/auth/", "/account", "/apix", "/favicon.ico"])
def test_people_read_a_page_at_unknown_addresses(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"There is nothing at this address." in answer.content


def test_an_address_is_never_said_back(client):
    for path in ("/<script>alert(1)</script>", "/api/<script>alert(1)</script>"):
        assert b"script>alert" not in client.get(path).content


def test_a_crash_tells_nothing_and_is_logged(client, breaking, caplog):
    breaking(RuntimeError("the secret detail"))
    answer = client.post("/api/auth/cli/session", content_type="application/json")
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "Something went wrong on our side. Please try again."},
    )
    assert "the secret detail" in caplog.text


def refer_to_nothing(person):
    """Make a membership of no organization, and let the database notice."""
    with transaction.atomic(), connection.cursor() as cursor:
        Membership.objects.create(organization_id=uuid.uuid4(), user=person)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_row_whose_other_end_has_gone_meanwhile_is_a_conflict_for_machines_and_people(client, breaking, alice):
    with pytest.raises(IntegrityError) as gone:
        refer_to_nothing(alice)
    breaking(gone.value)
    answer = client.post("/api/auth/cli/session", content_type="application/json")
    sentence = "This was removed or added to at the same moment, so nothing was done. Please try again."
    assert (answer.status_code, answer.json()) == (409, {"error": sentence})
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get("/account/apps")
    assert answer.status_code == 409
    assert sentence in answer.content.decode()


def test_a_crash_of_a_page_tells_nothing(client, breaking, alice):
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    breaking(RuntimeError("the secret detail"))
    answer = client.get("/account/apps")
    assert (answer.status_code, b"the secret detail" in answer.content) == (500, False)
    assert b"Something went wrong on our side. Please try again." in answer.content


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (Conflict("A build is running already."), 409, "A build is running already."),
        (UpstreamFailed(), 502, "A service we depend on failed. Please try again in a moment."),
        (TooManyRequests(retry_after=7), 429, "Too many requests. Please try again in 7 seconds."),
    ],
)
def test_machines_and_people_read_the_same_sentence(client, breaking, alice, error, status, sentence):
    breaking(error)
    answer = client.post("/api/auth/cli/session", content_type="application/json")
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/account/apps")
    assert (page.status_code, sentence.encode() in page.content) == (status, True)
    assert answer.get("Retry-After") == page.get("Retry-After") == ("7" if status == 429 else None)


@pytest.mark.parametrize("host", ["evil.example.com", "testserver.evil.example.com", "", "a b", "testserver:x", "[::1"])
def test_another_host_is_refused(client, host):
    answer = client.post("/api/auth/cli/session", headers={"Host": host})
    assert (answer.status_code, answer.json()) == (400, {"error": "The request can't be read."})
    page = client.get("/auth/sign-in", headers={"Host": host})
    assert (page.status_code, b"The request can&#x27;t be read." in page.content) == (400, True)


def test_no_machine_address_redirects_to_one_with_a_slash(client):
    assert client.get("/_/health/").status_code == 404
    assert client.post(reverse("cli-login-start") + "/").status_code == 404
