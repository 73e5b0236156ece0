"""The audit trail: written with the change, and never changed afterwards."""

from contextvars import Context

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AccessToken, AuditEvent, CLILogin, User
from accounts.services import cli_login, tokens, users
from clouddev.models import IdlePolicy
from tests.accounts.browsing import form_of
from tests.clouddev.builders import make_machine, make_webhook_token
from tests.clouddev.cron_jobs import make_job
from tests.conftest import token_of
from tests.deployments.builders import make_build, make_deployment
from tests.operators import connection_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(alice):
    # Outside of any request: the tests of one process share a thread, and with it the last request's facts.
    Context().run(audit.record, "user.restored", actor=alice, target=alice)
    return AuditEvent.objects.get()


def test_a_row_says_who_did_what_to_what_and_when(event, alice):
    assert (event.action, event.actor_id, event.actor_label) == ("user.restored", alice.pk, "Alice")
    assert (event.target_type, event.target_id, event.target_label) == ("User", str(alice.pk), "Alice")
    assert abs((timezone.now() - event.at).total_seconds()) < 60
    assert str(event) == "Alice: user.restored"


def test_outside_of_a_request_there_is_no_address(event):
    assert (event.address, event.request_id) == (None, "-")


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_within_a_request_its_address_and_id_are_kept(browser_of, alice, started, address, settings):
    code, _ = started()
    browser = browser_of(alice, address=address)
    fields = form_of(browser.get("/auth/cli", cli_code=code), "/auth/cli")
    settings.TRUSTED_PROXY_COUNT = 1
    headers = {"X-Request-ID": "request-0001", "X-Forwarded-For": address}
    browser.client.post("/auth/cli", {**fields, "decision": "deny"}, headers=headers)
    event = AuditEvent.objects.get()
    assert (event.address, event.request_id) == (address, "request-0001")


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (users.suspend, {}),
        (users.restore, {"is_active": False}),
        (users.approve_from_waitlist, {"is_active": False, "waitlisted_at": timezone.now()}),
    ],
    ids=["suspend", "restore", "approve"],
)
@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_down_is_not_done_to_a_person(alice, service, fields):
    User.objects.filter(pk=alice.pk).update(**fields)
    before = User.objects.values().get()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    try:
        with pytest.raises(IntegrityError):
            service(user=alice, by=None)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_auditevent DROP CONSTRAINT full_disk")
    assert User.objects.values().get() == before


def rows_of(person):
    """One of everything that belongs to an organization, by the word that its actions begin with."""
    token_of(person)
    shop, machine = make_deployment(person), make_machine(person)
    return {
        "access_token": AccessToken.objects.get(),
        "build": make_build(shop),
        "connection": connection_of(person),
        "cron_job": make_job(machine),
        "deployment": shop,
        "idle_policy": IdlePolicy.objects.create(organization=person.personal_organization),
        "machine": machine,
        "organization": person.personal_organization,
        "webhook_token": make_webhook_token(machine, person),
    }


def test_what_belongs_to_an_organization_is_told_with_it(alice, bob):
    rows = rows_of(alice)
    for word, row in rows.items():
        audit.record(f"{word}.looked_at", actor=bob, target=row)
    told = AuditEvent.objects.values_list("action", "organization_id")
    assert set(told) == {(f"{word}.looked_at", alice.personal_organization.pk) for word in rows}


@pytest.mark.parametrize("word", ["browser_session", "cli_login", "database", "fly_app", "operator", "user"])
def test_people_and_what_is_nobodys_are_told_of_no_organization(alice, word):
    audit.record(f"{word}.looked_at", actor=None, target=alice)
    assert AuditEvent.objects.get().organization_id is None


@pytest.mark.parametrize("word", ["access_token", "build", "connect_link", "machine", "something_new"])
def test_what_belongs_to_an_organization_is_not_told_without_it(alice, word):
    with pytest.raises(TypeError):
        audit.record(f"{word}.looked_at", actor=alice, target_type="Anything", target_id="1")
    with pytest.raises(TypeError):
        audit.record_each(f"{word}.looked_at", [{"actor": alice, "target": alice}])
    assert not AuditEvent.objects.exists()


def test_a_trail_of_one_organization_is_read_by_its_index(alice):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        of_one = AuditEvent.objects.filter(organization_id=alice.personal_organization.pk)
        assert "audit_of_organization" in of_one[:20].explain()
        assert "Sort" not in of_one[:20].explain()


def test_a_row_outlives_its_person(event, alice):
    pk = alice.pk
    alice.delete()
    event.refresh_from_db()
    assert (event.actor_id, event.actor_label) == (pk, "Alice")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditevent SET action = 'x'",
        "UPDATE accounts_auditevent SET actor_id = NULL",
        "DELETE FROM accounts_auditevent",
        "TRUNCATE accounts_auditevent",
        "TRUNCATE accounts_clilogin, accounts_auditevent CASCADE",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_row(event, statement):
    refused = pytest.raises(DatabaseError, match="the audit trail is append-only")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.get().action == "user.restored"


@pytest.mark.django_db(transaction=True)
def test_what_empties_the_tables_after_a_test_opens_the_trail_for_nothing_else(event):
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEvent.objects.exists()
    with pytest.raises(DatabaseError, match="the audit trail is append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE accounts_auditevent")


def test_the_models_cannot_change_or_delete_a_row_either(event):
    event.action = "x"
    for change in (event.save, event.delete, AuditEvent.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def changes(alice, code):
    """Each change that is recorded, and what tells that it was made."""
    now = timezone.now()
    login = CLILogin.objects.get(code=code)
    token = AccessToken.objects.get()
    return {
        "approve": (
            lambda: cli_login.approve(login=login, user=alice, now=now),
            lambda: CLILogin.objects.get(code=code).state != "pending",
        ),
        "deny": (
            lambda: cli_login.deny(login=login, user=alice, now=now),
            lambda: CLILogin.objects.get(code=code).state != "pending",
        ),
        "revoke": (
            lambda: tokens.revoke(token_id=token.pk, user_id=alice.pk, by=alice, now=now),
            lambda: AccessToken.objects.get().revoked_at is not None,
        ),
        "suspend": (
            lambda: users.suspend(user=alice, by=None),
            lambda: not User.objects.get().is_active,
        ),
        "sign out": (
            lambda: tokens.end_own_browser_session(session_key="visibly-fake-session", user=alice),
            lambda: not UserSession.objects.exists() or not Session.objects.exists(),
        ),
        "revoke everything": (
            lambda: users.revoke_everything(user=alice, by=alice, now=now),
            lambda: AccessToken.objects.get().revoked_at is not None,
        ),
    }


@pytest.mark.parametrize("name", ["approve", "deny", "revoke", "suspend", "sign out", "revoke everything"])
def test_a_change_that_cannot_be_recorded_is_not_made(alice, started, name):
    token_of(alice)
    code, _ = started()
    UserSession.objects.create(user=alice, ip="127.0.0.1", session_key="visibly-fake-session", user_agent="")
    Session.objects.create(session_key="visibly-fake-session", session_data="", expire_date=timezone.now())
    change, was_made = changes(alice, code)[name]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    with pytest.raises(DatabaseError):
        change()
    assert not was_made()


def test_a_pick_up_that_cannot_be_recorded_gives_no_token_and_can_be_repeated(nobody_api, approved):
    code, secret = approved
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    refused = nobody_api.get("/api/auth/cli/check", code=code, secret=secret)
    assert (refused.status_code, AccessToken.objects.exists()) == (500, False)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent DROP CONSTRAINT full_disk")
    assert nobody_api.get("/api/auth/cli/check", code=code, secret=secret).json()["data"]["status"] == "approved"


def test_no_row_holds_a_secret(nobody_api, approved):
    code, secret = approved
    token = nobody_api.get("/api/auth/cli/check", code=code, secret=secret).json()["data"]["token"]
    rows = repr(list(AuditEvent.objects.values()))
    assert "cli_login.approved" in rows
    assert (token in rows, secret in rows) == (False, False)
