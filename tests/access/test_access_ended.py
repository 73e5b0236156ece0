"""What ends with somebody's access: each thing that a person was given, in each way of losing it."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.bearer import InvalidToken, Suspended
from accounts.models import AccessToken, AuditEvent, CLILogin, Invitation, IssuerPerson, Login, User
from accounts.oauth import access_tokens
from accounts.services import access_ended, cli_login, departures, users
from accounts.services.access import AccessEnded, hold
from clouddev.models import CronJob, Machine, MachineToken, Member, WebhookToken
from clouddev.services import members, offers, power, tokens
from clouddev.services.access import NoSuchMachine
from deployments.models import Build
from integrations.models import Connection, ConnectLink
from tests.accounts.keys import personal
from tests.accounts.organization_builders import invite, make_organization
from tests.accounts.threads import at_once
from tests.clouddev.builders import add_member, make_failed, make_machine, make_offer, make_webhook_token
from tests.clouddev.cron_jobs import make_job
from tests.conftest import APIClient, make_person, token_of
from tests.deployments.builders import make_build, make_deployment
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
NOW = timezone.now()
PRESSED: dict[str, str] = {}


def approved_login(person: User) -> cli_login.StartedLogin:
    """A login of the person's that no tool has picked up."""
    # Not when this file was read, which may be longer ago than a login lives.
    now = timezone.now()
    started = cli_login.start(client=CLILogin(client_name="crayon CLI", address="127.0.0.1"), now=now)
    cli_login.approve(login=CLILogin.objects.get(code=started.code), user=person, now=now)
    return started


def make_link(person: User) -> ConnectLink:
    """A link to connect an account that the person has asked for with their token."""
    return ConnectLink.objects.create(
        digest=f"visibly-fake-digest-of-{person.username}".encode()[:32],
        sealed_link=b"visibly-fake-link",
        owner=person,
        organization=person.personal_organization,
        asked_with=AccessToken.objects.get(user=person),
        integration_id="acme",
        created_at=timezone.now(),
        expires_at=timezone.now() + timedelta(minutes=30),
    )


class Bob:
    """bob, who may use alice's machine, with one of everything that a person is given."""

    def __init__(self, alice: User, bob: User) -> None:
        self.alice, self.bob = alice, bob
        self.machine = make_machine(alice, "studio")
        add_member(self.machine, bob, Member.Role.OWNER)
        self.token = token_of(bob)
        self.key = personal(bob).plain
        login = Login.objects.create(
            user=bob, organization=bob.personal_organization, created_at=NOW, ends_at=NOW + timedelta(days=1)
        )
        self.jwt = access_tokens.issue(login=login, role="owner", now=timezone.now())
        self.browser = browser_of(bob)
        self.browser.get("/account/apps")
        self.webhook = make_webhook_token(self.machine, bob)
        APIClient(self.token).get("/api/cloud-dev/mcp-token", appName="studio")
        self.browser.get("/auth/dev-ui", {"app": self.machine.fly_app_id})
        self.mcp, self.dev_ui = (token.pk for token in self.machine.machine_tokens.order_by("expires_at"))
        self.job = make_job(self.machine, by=bob)
        self.login = approved_login(bob)
        self.build = make_build(make_deployment(alice, "shop"), pushed_by=bob)
        self.epoch = bob.cache_epoch
        self.failed = make_failed(bob, "blog")
        make_link(bob)
        IssuerPerson.objects.create(
            issuer="https://app.example.com", subject="bob-there", user=bob, created_at=NOW, seen_at=NOW
        )
        Machine.objects.filter(pk=self.machine.pk).update(
            wanted="started", wanted_at=NOW, wanted_by=bob, promised="started", promised_at=NOW, promised_by=bob
        )
        self.to = make_person("somebody")
        make_offer(self.machine, self.to, made_by=bob)
        make_offer(self.machine, bob, "transfer")
        invite(make_organization(alice, admin=bob), "invited@example.com", by=bob)
        self.alone = make_machine(bob, "alone", fly_state="started")
        self.connection = Connection.objects.create(
            integration_id="acme", connection_id="bobs", owner=bob, organization=bob.personal_organization,
            created_at=NOW,
        )  # fmt: skip

    def revoked(self) -> set[Any]:
        return set(tokens.revoked_tokens(fly_name=self.machine.fly_app_id, address="127.0.0.1", now=timezone.now()))

    def works(self) -> dict[str, bool]:
        """Which of it still works."""
        check = cli_login.check(code=self.login.code, secret=self.login.secret, address="127.0.0.1", now=timezone.now())
        revoked, job = self.revoked(), CronJob.objects.filter(pk=self.job.pk).first()
        build = Build.objects.get(pk=self.build.pk)
        epoch = User.objects.filter(pk=self.bob.pk).values_list("cache_epoch", flat=True).first()
        return {
            "access tokens": APIClient(self.token).get("/api/cloud-dev/list").status_code not in {401, 403},
            "API keys": APIClient(self.key).get("/api/cloud-dev/list").status_code not in {401, 403},
            "logins with tokens that others verify": self.jwt_works(),
            "browser sessions": self.browser.get("/account/apps").status_code == 200,
            "tokens of other issuers": IssuerPerson.objects.filter(valid_from=None).exists(),
            "CLI logins under way": check.status == "approved",
            "cached credentials": epoch == self.epoch,
            "links to connect an account": ConnectLink.objects.exists(),
            "webhook tokens": self.webhook.pk not in revoked,
            "dev-UI and MCP tokens": not {self.mcp, self.dev_ui} & revoked,
            "cron jobs": job is not None and job.paused_at is None,
            "variables of workspaces that failed": Machine.objects.filter(sealed_environment__isnull=False).exists(),
            "workspaces to be started or stopped": Machine.objects.filter(
                pk=self.machine.pk, wanted_at__isnull=False, promised_at__isnull=False
            ).exists(),
            "builds under way": build.state == Build.State.QUEUED,
            "requests under way": self.may_be_given_what_lasts(),
            "invitations to organizations they made": Invitation.objects.waiting(timezone.now()).exists(),
            "offers of workspaces they made": bool(offers.received(person=self.to, now=timezone.now())),
            "offers of workspaces to them": bool(offers.received(person=self.bob, now=timezone.now())),
            "connections": Connection.objects.filter(pk=self.connection.pk, state="active").exists(),
            "workspaces that run": Machine.objects.filter(pk=self.alone.pk).exclude(wanted="stopped").exists(),
        }

    def jwt_works(self) -> bool:
        """Whether this server still takes it."""
        with suppress(InvalidToken, Suspended):
            return bool(access_tokens.principal_of_jwt(self.jwt, now=timezone.now()))
        return False

    def may_be_given_what_lasts(self) -> bool:
        """Whether a request of bob's goes on to that, which was let in when he had his access."""
        try:
            with transaction.atomic():
                hold(self.bob)
        except AccessEnded:
            return False
        return True


def _suspend(bob: Bob) -> None:
    browser_of(make_operator()).post(f"/admin/accounts/user/{bob.bob.pk}/suspend_one/", PRESSED)


def _no_longer_fit(bob: Bob) -> None:
    assert departures.depart(
        user_id=bob.bob.pk, reason="Their login is not listed.", found_by="look", seen_at=None, now=timezone.now()
    )


def _sign_out(bob: Bob) -> None:
    bob.browser.post("/account/revoke-all")


def _sign_out_by_operator(bob: Bob) -> None:
    browser_of(make_operator()).post(f"/admin/accounts/user/{bob.bob.pk}/revoke_one/", PRESSED)


def _delete(bob: Bob) -> None:
    # A person goes after their workspaces and connections.
    bob.failed.delete()
    bob.alone.delete()
    bob.connection.delete()
    User.objects.get(pk=bob.bob.pk).delete()


def _remove(bob: Bob) -> None:
    members.remove_member(machine=bob.machine, login="bob", actor=bob.alice)


def _leave(bob: Bob) -> None:
    answer = APIClient(bob.token).request("DELETE", "/api/cloud-dev/members?appName=studio&login=bob")
    assert answer.status_code == 200


WAYS: dict[str, tuple[str, Callable[[Bob], None]]] = {
    "suspended": ("suspended", _suspend),
    "no longer fits": ("no longer fits the sign-up policy", _no_longer_fit),
    "signed out everywhere": ("signed out everywhere", _sign_out),
    "signed out by an operator": ("signed out everywhere", _sign_out_by_operator),
    "deleted": ("deleted", _delete),
    "removed": ("removed from a workspace, or left it", _remove),
    "left": ("removed from a workspace, or left it", _leave),
}


def table() -> dict[str, dict[str, str]]:
    """The table in the documentation: what, and what becomes of it in each way."""
    text = (Path(settings.BASE_DIR) / "docs/access-ended.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)
    ]
    head, _, *lines = rows
    return {line[0]: dict(zip(head[1:], line[1:], strict=True)) for line in lines}


def test_the_table_has_all_that_ends_and_nothing_else():
    assert set(table()) == set(access_ended.names())


@pytest.mark.parametrize("way", WAYS)
def test_what_ends_is_what_the_table_says(alice, bob, way):
    told, end = WAYS[way]
    given = Bob(alice, bob)
    end(given)
    stays = {what: row[told].startswith("stay") for what, row in table().items()}
    assert given.works() == stays


def test_before_it_ends_all_of_it_works(alice, bob):
    assert set(Bob(alice, bob).works().values()) == {True}


def test_what_others_were_given_stays(alice, bob, charlie):
    given = Bob(alice, bob)
    add_member(given.machine, charlie)
    kept = make_webhook_token(given.machine, charlie)
    elsewhere = make_webhook_token(make_machine(alice, "other"), alice)
    job = make_job(given.machine, by=charlie, workflow_name="weekly")
    token, browser, login = token_of(charlie), browser_of(charlie), approved_login(charlie)
    link, failed = make_link(charlie), make_failed(charlie, "blog")
    build = make_build(make_deployment(alice, "site"), pushed_by=charlie)
    epochs = charlie.access_epoch, charlie.cache_epoch
    users.suspend(user=bob, by=None)
    kept.refresh_from_db()
    elsewhere.refresh_from_db()
    job.refresh_from_db()
    assert (kept.revoked_at, elsewhere.revoked_at, job.paused_at) == (None, None, None)
    assert given.revoked() == {given.webhook.pk, given.mcp, given.dev_ui}
    assert APIClient(token).get("/api/cloud-dev/list").status_code == 200
    assert browser.get("/account/apps").status_code == 200
    told = cli_login.check(code=login.code, secret=login.secret, address="127.0.0.1", now=timezone.now())
    assert told.status == "approved"
    assert User.objects.values_list("access_epoch", "cache_epoch").get(pk=charlie.pk) == epochs
    assert ConnectLink.objects.get() == link
    assert Machine.objects.get(sealed_environment__isnull=False) == failed
    assert Build.objects.get(pk=build.pk).state == Build.State.QUEUED


def test_leaving_one_machine_ends_nothing_on_another(alice, bob):
    given = Bob(alice, bob)
    other = make_machine(alice, "other")
    add_member(other, bob)
    token, job = make_webhook_token(other, bob), make_job(other, by=bob)
    _remove(given)
    token.refresh_from_db()
    job.refresh_from_db()
    assert (token.revoked_at, job.paused_at) == (None, None)


def test_what_is_offered_on_other_machines_and_by_others_stays(alice, bob, charlie):
    given = Bob(alice, bob)
    other = make_machine(alice, "other")
    by_others = make_offer(given.machine, charlie)
    elsewhere = make_offer(other, bob)
    _remove(given)
    assert {offer.pk for offer in offers.of_deciders(person=alice, now=NOW)} == {by_others.pk, elsewhere.pk}
    users.suspend(user=bob, by=None)
    assert [offer.pk for offer in offers.of_deciders(person=alice, now=NOW)] == [by_others.pk]


def test_no_offer_comes_back_with_a_person_who_is_restored(alice, bob):
    given = Bob(alice, bob)
    users.suspend(user=bob, by=None)
    users.restore(user=bob, by=None)
    works = given.works()
    assert (works["offers of workspaces they made"], works["offers of workspaces to them"]) == (False, False)


def test_what_was_promised_to_others_before_a_wish_that_ends_counts_again(alice, bob):
    machine = make_machine(alice, "studio")
    earlier = NOW - timedelta(seconds=5)
    Machine.objects.update(
        wanted="stopped", wanted_at=NOW, wanted_by=bob, promised="started", promised_at=earlier, promised_by=alice
    )
    users.suspend(user=bob, by=None)
    machine.refresh_from_db()
    assert (machine.wanted, machine.wanted_at, machine.wanted_by, machine.promised_at) == (
        "started", earlier, alice, None
    )  # fmt: skip
    users.suspend(user=alice, by=None)
    machine.refresh_from_db()
    assert machine.wanted_at is None


def test_a_wish_that_was_recorded_in_the_moment_of_the_suspension_is_not_carried_on(alice, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox, fly_state="stopped")
    users.suspend(user=alice, by=None)
    Machine.objects.update(wanted="started", wanted_at=NOW, wanted_by=alice)
    sandbox.clear_requests()
    power.carry_on(machine.pk, now=NOW)
    machine.refresh_from_db()
    assert (machine.wanted_at, sandbox.requests("fly")) == (None, [])


def test_an_expired_or_revoked_token_is_not_revoked_again(alice, bob):
    machine = make_machine(alice, "studio")
    before = NOW - timedelta(hours=1)
    over = make_webhook_token(machine, bob, expires_at=before)
    revoked = make_webhook_token(machine, bob, revoked_at=before)
    users.suspend(user=bob, by=alice)
    over.refresh_from_db()
    revoked.refresh_from_db()
    assert (over.revoked_at, revoked.revoked_at) == (None, before)
    assert not AuditEvent.objects.filter(action="webhook_token.revoked").exists()


def test_the_trail_names_each_webhook_token_and_who_ended_it(alice, bob):
    given = Bob(alice, bob)
    operator = make_operator()
    users.suspend(user=bob, by=operator)
    event = AuditEvent.objects.get(action="webhook_token.revoked")
    assert (event.actor_id, event.target_id, event.details) == (operator.pk, str(given.webhook.pk), {"app": "studio"})
    assert AuditEvent.objects.filter(action="cron_job.paused", target_id=str(given.job.pk)).exists()


def test_restoring_brings_access_tokens_back_and_no_token_of_a_machine(alice, bob):
    given = Bob(alice, bob)
    users.suspend(user=bob, by=None)
    users.restore(user=bob, by=None)
    works = given.works()
    assert (works["access tokens"], works["webhook tokens"], works["cron jobs"]) == (True, False, False)


def _webhook_token(machine: Machine, person: User) -> None:
    tokens.issue_webhook_token(machine=machine, person=person, actor=person, expires_in="365d", now=timezone.now())


def _mcp_token(machine: Machine, person: User) -> None:
    tokens.mcp_token(machine=machine, person=person, actor=person, now=timezone.now())


def _browser_token(machine: Machine, person: User) -> None:
    tokens.browser_token(machine=machine, person=person, login="bob", now=timezone.now())


OF_MACHINES = [_webhook_token, _mcp_token, _browser_token]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ask", OF_MACHINES)
def test_it_gives_no_token_to_somebody_who_was_suspended_after_they_were_let_in(ask, alice, bob):
    machine = make_machine(alice, "studio")
    add_member(machine, bob)
    users.suspend(user=User.objects.get(pk=bob.pk), by=None)
    with pytest.raises(NoSuchMachine):
        ask(machine, bob)
    assert not WebhookToken.objects.exists()
    assert not MachineToken.objects.exists()
    assert not AuditEvent.objects.filter(action="mcp_token.issued").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ask", OF_MACHINES)
@pytest.mark.parametrize("way", ["suspended", "removed"])
def test_a_token_that_is_asked_for_at_the_same_time_does_not_outlive_it(way, ask, alice, bob):
    machine = make_machine(alice, "studio")
    add_member(machine, bob)

    def end() -> None:
        if way == "suspended":
            users.suspend(user=bob, by=None)
        else:
            members.remove_member(machine=machine, login="bob", actor=alice)

    def try_it() -> None:
        with suppress(NoSuchMachine):
            ask(machine, bob)

    at_once(try_it, end, try_it, try_it)
    assert not WebhookToken.objects.filter(revoked_at=None).exists()
    assert not MachineToken.objects.filter(revoked_at=None).exists()


def _somebody_waits() -> bool:
    """Whether a connection to this database waits for a row that another one holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


@pytest.mark.django_db(transaction=True)
def test_a_token_that_is_picked_up_at_the_same_time_does_not_outlive_signing_out(bob):
    login = cli_login.start(client=CLILogin(client_name="crayon CLI", address="127.0.0.1"), now=NOW)
    cli_login.approve(login=CLILogin.objects.get(code=login.code), user=bob, now=NOW)
    picked_up = Event()

    def pick_up() -> None:
        with transaction.atomic():
            cli_login.check(code=login.code, secret=login.secret, address="127.0.0.1", now=NOW)
            picked_up.set()
            until = time.monotonic() + 10
            while not _somebody_waits() and time.monotonic() < until:
                time.sleep(0.01)

    def end() -> None:
        picked_up.wait(timeout=20)
        users.revoke_everything(user=bob, by=bob, now=timezone.now())

    at_once(pick_up, end)
    assert [token.revoked_at is None for token in AccessToken.objects.of(bob)] == [False]
