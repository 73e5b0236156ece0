"""What is asked for while access ends: a request that was let in before is given nothing that would outlive it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.bearer import caller_of
from accounts.models import APIKey, CLILogin, User
from accounts.principals import Principal
from accounts.services import api_keys, cli_login, users
from accounts.services.access import AccessEnded
from clouddev.models import CronJob, Machine, MachineToken, WebhookToken
from clouddev.services import creation, members, retry, tokens
from clouddev.services.access import NoSuchMachine
from clouddev.services.cron import jobs
from deployments.models import Build
from deployments.services import builds, pushes
from integrations.models import ConnectLink
from integrations.services import connect_sessions
from tests.clouddev.builders import add_member, make_failed, make_machine
from tests.clouddev.cron_jobs import make_job
from tests.conftest import token_of
from tests.deployments.builders import make_build, make_deployment
from tests.operators import browser_of

pytestmark = pytest.mark.django_db


class Under:
    """Requests of bob's that are under way: they know him as he was let in."""

    def __init__(self, alice: User, bob: User) -> None:
        self.alice, self.bob = alice, User.objects.get(pk=bob.pk)
        self.caller: Principal = caller_of(token_of(bob), now=timezone.now())
        self.machine = make_machine(alice, "studio")
        add_member(self.machine, bob)
        self.job = make_job(self.machine, paused_at=timezone.now())
        self.failed = make_failed(bob, "blog", had_variables=False)
        self.app = make_deployment(bob, "shop")
        self.built = make_build(self.app, state=Build.State.LIVE)
        started = cli_login.start(client=CLILogin(client_name="crayon CLI", address="127.0.0.1"), now=timezone.now())
        self.login = CLILogin.objects.get(code=started.code)


def _webhook_token(it: Under) -> None:
    tokens.issue_webhook_token(
        machine=it.machine, person=it.caller, actor=it.caller, expires_in="365d", now=timezone.now()
    )


def _mcp_token(it: Under) -> None:
    tokens.mcp_token(machine=it.machine, person=it.caller, actor=it.caller, now=timezone.now())


def _browser_token(it: Under) -> None:
    tokens.browser_token(machine=it.machine, person=it.bob, login="bob", now=timezone.now())


def _cron_job(it: Under) -> None:
    jobs.create_job(caller=it.caller, fly_name=it.machine.fly_app_id, workflow_name="weekly",
                    expression="0 * * * *", timezone="UTC", given=None, now=timezone.now())  # fmt: skip


def _resumed_job(it: Under) -> None:
    jobs.change_job(
        caller=it.caller, job_id=it.job.pk, expression=None, timezone=None, given=jobs.KEEP, paused=False,
        now=timezone.now(),
    )  # fmt: skip


def _machine(it: Under) -> None:
    creation.create(
        caller=it.caller, app_name="mine", environment={"DATABASE_URL": "postgres://x"}, region="", now=timezone.now()
    )


def _tried_again(it: Under) -> None:
    retry.try_again(machine=it.failed, actor=it.caller, now=timezone.now())


def _link(it: Under) -> None:
    connect_sessions.create_connect_session(
        caller=it.caller, integration_id="acme", connection_id=None, now=timezone.now()
    )


def _approval(it: Under) -> None:
    cli_login.approve(login=it.login, user=it.bob, now=timezone.now())


def _redeployed(it: Under) -> None:
    builds.redeploy(build=it.built, actor=it.bob, now=timezone.now())


def _accepted(it: Under) -> None:
    push = make_build(it.app, accepted_at=None)
    pushes._accept(it.caller, push, pushes.split({}, build_prefixes=()), warning="")


def _key(it: Under) -> None:
    api_keys.make(
        by=it.caller,
        organization_id=it.caller.organization_id,
        wanted=api_keys.WantedKey(name="CI"),
        now=timezone.now(),
    )


def _worker_key(it: Under) -> None:
    api_keys.make_for_worker(by=it.caller, slug="bob", wanted=api_keys.WantedKey(name="worker-1"), now=timezone.now())


LASTING: list[Callable[[Under], None]] = [
    _webhook_token, _mcp_token, _browser_token, _cron_job, _resumed_job, _machine, _tried_again, _link, _approval,
    _redeployed, _accepted, _key, _worker_key,
]  # fmt: skip


def _made(it: Under) -> dict[str, Any]:
    """All that lasts, as it is in the database."""
    return {
        "webhook tokens": list(WebhookToken.objects.values_list("pk", flat=True)),
        "machine tokens": list(MachineToken.objects.values_list("pk", flat=True)),
        "jobs": list(CronJob.objects.values_list("pk", "created_by", "paused_at")),
        "machines": list(Machine.objects.values_list("pk", "state")),
        "keys": APIKey.objects.filter(revoked_at=None).count(),
        "links": list(ConnectLink.objects.order_by("pk").values_list("pk", flat=True)),
        "login": CLILogin.objects.get(pk=it.login.pk).state,
        "builds": list(Build.objects.exclude(accepted_at=None).values_list("pk", flat=True)),
    }


def _suspend_and_restore(bob: User) -> None:
    users.suspend(user=bob, by=None)
    users.restore(user=bob, by=None)


def _sign_out(bob: User) -> None:
    users.revoke_everything(user=bob, by=bob, now=timezone.now())


ENDS = [_suspend_and_restore, _sign_out]


@pytest.fixture
def it(alice, bob, sandbox, settings) -> Under:
    settings.DATABASE_DATA_URL = "postgres://visibly-fake@localhost/data"
    return Under(alice, bob)


@pytest.mark.parametrize("ask", LASTING)
def test_as_long_as_nothing_ends_it_is_given(ask, it):
    before = _made(it)
    ask(it)
    assert _made(it) != before


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("ask", LASTING)
def test_it_is_not_given_to_whose_access_has_ended_since_they_were_let_in(ask, end, it, bob):
    end(bob)
    before = _made(it)
    with pytest.raises((AccessEnded, NoSuchMachine)), transaction.atomic():
        ask(it)
    assert _made(it) == before


@pytest.mark.parametrize("ask", LASTING)
def test_whoever_comes_back_is_given_it(ask, it, bob):
    _sign_out(bob)
    it.caller, it.bob = caller_of(token_of(bob), now=timezone.now()), User.objects.get(pk=bob.pk)
    before = _made(it)
    ask(it)
    assert _made(it) != before


@pytest.mark.parametrize("ask", [_cron_job, _resumed_job])
def test_no_job_is_made_by_whoever_is_removed_in_that_moment(ask, it, monkeypatch):
    found = jobs.access.hold

    def held(person: Principal) -> None:
        found(person)
        members.remove_member(machine=it.machine, login="bob", actor=it.alice)

    monkeypatch.setattr(jobs.access, "hold", held)
    with pytest.raises((NoSuchMachine, jobs.NoSuchJob)):
        ask(it)


@pytest.mark.parametrize("end", ENDS)
def test_a_session_that_begins_at_that_moment_never_works(end, bob):
    signing_in = User.objects.get(pk=bob.pk)
    end(bob)
    assert browser_of(signing_in).get("/account/apps").status_code == 302


@pytest.mark.parametrize("end", ENDS)
def test_a_session_that_is_on_no_list_yet_ends_too(end, bob):
    browser = browser_of(bob)
    end(bob)
    assert browser.get("/account/apps").status_code == 302


@pytest.mark.parametrize("end", ENDS)
def test_who_signs_in_again_stays_signed_in(end, bob):
    end(bob)
    browser = browser_of(User.objects.get(pk=bob.pk))
    assert [browser.get("/account/apps").status_code for _ in range(2)] == [200, 200]


def test_who_is_told_so_on_a_page_reads_a_sentence(bob, it, monkeypatch):
    browser: Client = browser_of(bob)
    found = cli_login.find_for_page

    def find(**asked: Any) -> CLILogin:
        users.revoke_everything(user=bob, by=None, now=timezone.now())
        return found(**asked)

    monkeypatch.setattr(cli_login, "find_for_page", find)
    answer = browser.post("/auth/cli", {"cli_code": it.login.code, "decision": "approve"})
    assert (answer.status_code, str(AccessEnded.default) in answer.content.decode()) == (401, True)
