"""The operators' pages: all of them open, none shows a secret, and nobody else gets in."""

import pytest
from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import audit
from accounts.models import AuditEvent, User
from accounts.services import users
from clouddev.models import IdlePolicy
from deployments.services import queue
from tests.clouddev.builders import make_machine, make_webhook_token
from tests.clouddev.cron_jobs import make_job, make_run
from tests.conftest import make_person, token_of
from tests.deployments.builders import make_build, make_deployment, make_discrepancy
from tests.operators import (
    LISTS,
    PASSWORD,
    browser_of,
    connection_of,
    every_page,
    fill,
    log_a_tool_in,
    make_departure,
    make_operator,
    secrets_in_the_database,
)

pytestmark = pytest.mark.django_db


@pytest.mark.slow(16)
def test_every_page_opens_for_a_superuser_or_is_refused_with_a_page(operators, alice, bob):
    fill(alice, bob)
    log_a_tool_in(alice)
    statuses = {page: operators.get(page).status_code for page in every_page(operators)}
    refused = {page for page, status in statuses.items() if status != 200}
    allowed_to_be_refused = {
        page
        for page in statuses
        if page.endswith(("/delete/", "/add/")) and page != "/admin/accounts/user/add/" and "/idlepolicy/" not in page
    }
    assert {page: statuses[page] for page in refused - allowed_to_be_refused if "?e=1" not in page} == {}
    assert {statuses[page] for page in allowed_to_be_refused} == {403}


def test_every_list_and_every_row_opens_for_an_operator_who_is_no_superuser(alice, bob):
    fill(alice, bob)
    browser = browser_of(make_operator("second", superuser=False))
    pages = [page for page in every_page(browser) if page.endswith("/change/") or page in LISTS or page == "/admin/"]
    assert {page: status for page in pages if (status := browser.get(page).status_code) != 200} == {}


@pytest.mark.slow(25)
def test_no_page_shows_a_secret(operators, alice, bob):
    fill(alice, bob)
    make_operator("second", password=PASSWORD)
    tool = log_a_tool_in(alice)
    secrets = secrets_in_the_database() | {tool["token"]: "a token", tool["secret"]: "a CLI's secret"}
    kinds = set(secrets.values())
    assert kinds == {
        "a token",
        "a token's digest",
        "an API key's digest",
        "the digest of an invitation's link",
        "a CLI's secret",
        "the digest of a CLI's secret",
        "a sealed token",
        "a sealed environment",
        "a sealed SSH key",
        "a machine's sealed environment",
        "what a workflow is given",
        "a code",
        "a password's hash",
        "a session key",
    }
    shown = [
        (page, kind)
        for page in every_page(operators)
        for html in [operators.get(page).content.decode()]
        for secret, kind in secrets.items()
        if secret in html
    ]
    assert shown == []


def test_only_tables_whose_pages_are_ours_are_registered():
    registered = {model._meta.label for model in admin.site._registry}
    assert registered == {
        "accounts.User",
        "accounts.Organization",
        "accounts.AccessToken",
        "accounts.APIKey",
        "accounts.IssuerOrganization",
        "accounts.IssuerPerson",
        "accounts.CLILogin",
        "accounts.Departure",
        "accounts.Invitation",
        "accounts.AuditEvent",
        "clouddev.CronJob",
        "clouddev.CronRun",
        "clouddev.IdlePolicy",
        "clouddev.Machine",
        "clouddev.WebhookToken",
        "deployments.Deployment",
        "deployments.Build",
        "fly.FlyApp",
        "fly.Discrepancy",
        "procrastinate.ProcrastinateJob",
        "integrations.Connection",
        "integrations.CredentialUse",
        "integrations.StrangeConnection",
    }


def test_alice_who_is_no_operator_gets_nothing(alice, bob):
    fill(alice, bob)
    browser = browser_of(alice)
    for page in every_page(browser):
        answer = browser.get(page, follow=True)
        assert answer.status_code == 403, page
        assert "you are not one of them" in answer.content.decode(), page
        # A whole address: three letters may well be part of a form token.
        assert "bob@example.com" not in answer.content.decode(), page


def test_a_stranger_is_led_to_the_sign_in_page(client, alice):
    for page in ("/admin/", f"/admin/accounts/user/{alice.pk}/change/", "/admin/accounts/auditevent/"):
        answer = client.get(page)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/admin/login/?next={page}")


def test_a_suspended_operator_is_out_at_once(operators, operator):
    assert operators.get("/admin/").status_code == 200
    User.objects.filter(pk=operator.pk).update(is_active=False)
    answer = operators.get("/admin/accounts/user/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/admin/accounts/user/")


def test_somebody_who_stops_being_an_operator_is_out_at_once(operators, operator):
    User.objects.filter(pk=operator.pk).update(is_staff=False)
    assert operators.get("/admin/accounts/user/", follow=True).status_code == 403


@pytest.mark.parametrize("words", ["alice", "ALICE@example.com", "octo-alice", "Alice"])
def test_people_are_found_by_login_username_name_and_address(operators, alice, bob, words):
    User.objects.filter(pk=alice.pk).update(github_login="octo-alice")
    html = operators.get("/admin/accounts/user/", {"q": words}).content.decode()
    assert str(alice.pk) in html
    assert str(bob.pk) not in html


@pytest.mark.parametrize("state", ["active", "waiting", "suspended"])
def test_people_are_filtered_by_state(operators, alice, state):
    everybody = {
        "active": alice,
        "waiting": make_person("bob", is_active=False, waitlisted_at="2026-01-01T00:00Z"),
        "suspended": make_person("charlie", is_active=False),
    }
    html = operators.get("/admin/accounts/user/", {"state": state}).content.decode()
    assert {name for name, person in everybody.items() if str(person.pk) in html} == {state}


@pytest.mark.parametrize("words", ["user.suspended", "Bob", "Alice", "127.0.0.1"])
def test_the_audit_trail_is_searchable(operators, alice, bob, words):
    users.suspend(user=bob, by=alice)
    event = AuditEvent.objects.get(action="user.suspended")
    AuditEvent.objects.create(at=event.at, action="cli_login.denied", address="203.0.113.9")
    found = AuditEvent.objects.create(at=event.at, action="user.suspended", actor_label="Alice", address="127.0.0.1")
    html = operators.get("/admin/accounts/auditevent/", {"q": words}).content.decode()
    assert f"/auditevent/{found.pk}/change/" in html or f"/auditevent/{event.pk}/change/" in html
    assert "203.0.113.9" not in html


def test_audit_rows_cannot_be_changed_or_deleted_through_the_pages(operators, alice):
    audit.record("user.suspended", actor=alice, target=alice)
    event = AuditEvent.objects.get(action="user.suspended")
    path = f"/admin/accounts/auditevent/{event.pk}"
    answers = [
        operators.post(f"{path}/change/", {"action": "nothing.happened"}),
        operators.post(f"{path}/delete/", {"post": "yes"}),
        operators.post("/admin/accounts/auditevent/add/", {"action": "something.happened"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    operators.post("/admin/accounts/auditevent/", {"action": "delete_selected", "_selected_action": [event.pk]})
    assert AuditEvent.objects.get(pk=event.pk).action == "user.suspended"


def test_the_database_refuses_to_change_or_delete_audit_rows(alice):
    audit.record("user.suspended", actor=alice, target=alice)
    for change in (lambda rows: rows.update(action="nothing.happened"), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change(AuditEvent.objects.all())
    assert AuditEvent.objects.get().action == "user.suspended"


def test_the_front_page_says_what_matters_today(operators, alice, bob, charlie, no_workers):
    log_a_tool_in(alice)
    connection_of(alice, needs_reconnect=True)
    connection_of(alice, "hubspot")
    User.objects.filter(pk=charlie.pk).update(is_active=False, waitlisted_at="2026-01-01T00:00Z")
    figures = {figure.title: (figure.value, figure.note) for figure in operators.get("/admin/").context["figures"]}
    assert figures == {
        "New people": (4, "in 7 days, of 4; 0 suspended"),
        "Waiting for approval": (1, "on the waiting list"),
        "Active tokens": (0, "used in 24 hours, of 1 working"),
        "CLI logins today": (1, "1 approved, 0 denied, 0 expired"),
        "Failing connections": (1, "of 2"),
        "Running builds": (0, "and 0 waiting"),
        "Failed builds today": (0, "of 0 that ended"),
        "Discrepancies": (0, "between Fly and us"),
        "Workers": (0, "No build worker is running: start one."),
        "Running workspaces": (0, "of 0; 0 being made or removed"),
        "Failed workspaces": (0, "could not be made"),
        "Idle workspaces": (0, "not used for 7 days"),
    }


def test_the_front_page_of_an_empty_server_opens(operators):
    html = operators.get("/admin/").content.decode()
    assert "Every connection works" in html
    assert "Nothing has happened yet." in html


def make_everything_of_a_machine(person):
    machine = make_machine(person)
    make_webhook_token(machine, person)
    make_run(make_job(machine))
    IdlePolicy.objects.create(organization=person.personal_organization)


@pytest.mark.parametrize("path", ["/admin/", *LISTS])
def test_a_page_asks_as_few_queries_for_many_rows_as_for_few(operators, path, alice):
    connection_of(alice)
    token_of(alice)
    audit.record("user.suspended", actor=alice, target=alice)
    queue.enqueue(make_build(make_deployment(alice)).pk)
    make_discrepancy()
    make_everything_of_a_machine(alice)
    make_departure(alice)
    operators.get(path)
    with CaptureQueriesContext(connection) as few:
        operators.get(path)
    for number in range(12):
        person = make_person(f"person-{number}")
        token_of(person)
        connection_of(person, needs_reconnect=True)
        audit.record("user.suspended", actor=person, target=person)
        queue.enqueue(make_build(make_deployment(person)).pk)
        make_discrepancy(f"crayon-{number:016x}")
        make_everything_of_a_machine(person)
        make_departure(person)
    with CaptureQueriesContext(connection) as many:
        operators.get(path)
    assert len(many) == len(few)
    # Seven of them are the session's: who is it, and when were they last seen.
    # The front page asks one more for each of what it counts and draws.
    assert len(many) <= (20 if path == "/admin/" else 14)


def test_a_page_of_many_members_asks_few_queries(operators, alice, django_assert_max_num_queries):
    organization = users.ensure_personal_organization(user=alice)
    for number in range(12):
        organization.members.add(make_person(f"person-{number}"))
    with django_assert_max_num_queries(13):
        assert operators.get(f"/admin/accounts/organization/{organization.pk}/change/").status_code == 200


def test_a_long_list_has_pages(operators):
    for number in range(55):
        audit.record(f"user.number_{number}", actor=None)
    assert len(operators.get("/admin/accounts/auditevent/").context["cl"].result_list) == 50
    assert len(operators.get("/admin/accounts/auditevent/?p=2").context["cl"].result_list) == 5


def test_an_empty_list_says_what_would_be_there(operators):
    html = operators.get("/admin/accounts/accesstoken/").content.decode()
    assert "A token is made when somebody approves a tool&#x27;s login." in html


@pytest.mark.parametrize("identifier", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_row_leads_back_to_the_front_page(operators, identifier):
    answer = operators.get(f"/admin/accounts/user/{identifier}/change/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_only_the_operators_pages_may_evaluate_scripts(operators):
    assert "'unsafe-eval'" in operators.get("/admin/").headers["Content-Security-Policy"]
    assert "unsafe" not in operators.get("/account/apps").headers["Content-Security-Policy"]
