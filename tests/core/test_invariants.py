"""What the database refuses, so that no code has to expect it."""

import uuid

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import CLILogin, Organization
from clouddev.models import CronRun, Machine, Offer
from core.fields import Sealed
from deployments.models import Build, Deployment
from fly.models import FlyApp
from integrations.models import Connection
from tests.clouddev.builders import make_failed, make_machine, make_offer
from tests.clouddev.cron_jobs import make_job, make_run
from tests.deployments.builders import make_build, make_deployment
from tests.operators import connection_of

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def refused():
    """Whether the database refuses to write these values to all rows of the model."""

    def update(model, **values):
        try:
            with transaction.atomic():
                model.objects.update(**values)
        except IntegrityError:
            return True
        return False

    return update


def login(**fields):
    return CLILogin.objects.create(code="00000000", secret_digest=b"", created_at=NOW, expires_at=NOW, **fields)


def test_a_build_ends_when_it_is_over_and_not_before(refused, alice):
    shop = make_deployment(alice)
    make_build(shop)
    assert refused(Build, finished_at=NOW)
    assert [refused(Build, state=state) for state in ("live", "failed", "canceled", "interrupted")] == [True] * 4
    assert not refused(Build, state="canceled", finished_at=NOW)


def test_a_released_build_is_over_or_not_yet(refused, alice):
    make_build(make_deployment(alice), state="released")
    assert not refused(Build, finished_at=NOW)
    assert not refused(Build, finished_at=None)


@pytest.mark.parametrize("state", ["building", "released"])
def test_a_build_that_a_worker_has_was_accepted_and_is_heard_of(refused, alice, state):
    make_build(make_deployment(alice), state=state)
    for column in ("accepted_at", "heartbeat_at"):
        assert refused(Build, **{column: None})


def test_what_fly_runs_was_released(refused, alice):
    make_build(make_deployment(alice), state="released")
    assert refused(Build, released_at=None)
    assert refused(Build, state="failed", finished_at=NOW, released_at=None)
    assert not refused(Build, state="failed", finished_at=NOW, released_at=None, image="")


def test_nothing_is_kept_for_a_build_that_is_over(refused, alice):
    make_build(make_deployment(alice), sealed_environment=b"{}")
    assert refused(Build, state="canceled", finished_at=NOW)
    assert not refused(Build, state="canceled", finished_at=NOW, sealed_environment=None)


@pytest.mark.django_db(transaction=True)
def test_a_build_is_of_its_deployments_organization(alice, bob):
    shop = make_deployment(alice)
    build = make_build(shop)
    theirs = Organization.objects.get(personal_for=bob)
    with pytest.raises(IntegrityError):
        Build.objects.update(organization=theirs)
    with pytest.raises(IntegrityError):
        make_build(shop, organization=theirs)
    Deployment.objects.update(organization=theirs)
    build.refresh_from_db()
    assert build.organization_id == theirs.pk
    shop.delete()


def test_a_ready_machine_was_ready_once_and_no_worker_is_at_it(refused, alice):
    make_machine(alice)
    assert refused(Machine, ready_at=None)
    assert refused(Machine, heartbeat_at=NOW)
    assert not refused(Machine, state="destroying", heartbeat_at=NOW)


@pytest.mark.parametrize("state", ["ready", "destroying"])
def test_variables_are_kept_for_making_a_machine_only(refused, alice, state):
    make_failed(alice, ready_at=NOW)
    assert refused(Machine, state=state)
    assert refused(Machine, state=state, sealed_environment=None)
    assert refused(Machine, state=state, variables_kept_until=None)
    assert not refused(Machine, state=state, variables_kept_until=None, sealed_environment=None)


def test_what_a_machine_waits_for_is_known(refused, alice):
    make_machine(alice)
    assert refused(Machine, wanted_at=NOW)
    assert refused(Machine, promised_at=NOW)
    assert not refused(Machine, wanted="started", wanted_at=NOW, promised="stopped", promised_at=NOW)


def test_whoever_gets_a_machine_owns_it(refused, alice, bob):
    make_offer(make_machine(alice), bob, "transfer")
    assert refused(Offer, role="member")


def test_a_run_that_runs_is_known_to_its_machine_and_one_that_is_over_has_ended(refused, alice):
    job = make_job(make_machine(alice))
    make_run(job)
    assert refused(CronRun, state="running")
    assert refused(CronRun, state="running", run_id="run-1")
    assert refused(CronRun, state="failed")
    assert refused(CronRun, finished_at=NOW)
    assert not refused(CronRun, state="running", run_id="run-1", sent_at=NOW)


def test_a_paused_job_says_why(refused, alice):
    job = make_job(make_machine(alice))
    assert refused(type(job), paused_at=NOW)
    assert refused(type(job), paused_reason="Paused by a member.")


def test_an_app_at_fly_is_claimed_by_somebody_since_some_time(refused, alice):
    make_deployment(alice)
    assert refused(FlyApp, claim=uuid.uuid4())
    assert refused(FlyApp, claimed_at=NOW)
    assert refused(FlyApp, ready_at=None)
    assert refused(FlyApp, state="gone")


def test_a_connection_is_claimed_since_some_time_and_deleted_on_purpose(refused, alice):
    connection_of(alice)
    assert refused(Connection, claim=uuid.uuid4())
    assert refused(Connection, state="deleting")
    assert refused(Connection, deleted_at=NOW)
    assert refused(Connection, deleting_since=NOW)
    assert not refused(Connection, state="deleting", deleting_since=NOW, deleted_at=NOW)


def test_a_login_is_decided_by_somebody_and_has_its_token_when_it_is_picked_up(refused, alice):
    login()
    assert refused(CLILogin, state="approved")
    assert refused(CLILogin, decided_at=NOW)
    assert not refused(CLILogin, state="approved", decided_at=NOW, decided_by=alice)
    assert not refused(CLILogin, state="collected")
    assert not refused(CLILogin, sealed_token=Sealed(b"sealed"))
    assert refused(CLILogin, state="denied")


def test_who_waits_is_not_in(refused, alice):
    assert refused(type(alice), waitlisted_at=NOW)
    assert not refused(type(alice), waitlisted_at=NOW, is_active=False)
