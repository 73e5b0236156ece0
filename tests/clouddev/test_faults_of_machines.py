"""Fly and the data database failing at every question: a machine results or nothing at all, and a sentence."""

import contextlib
from functools import lru_cache
from urllib.parse import urlsplit

import pytest
from psycopg import sql

from clouddev.models import Machine
from clouddev.services import provisioning
from clouddev.services.provisioning import machine_config
from fly.clients.machines_api import Fly
from fly.clients.machines_api import client as fly_client
from tests.clouddev.worker_harness import ENVIRONMENT, OWN_DATABASE, require_sentence

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
# Slow is past the client's patience, and done before it asks again.
PATIENCE_SECONDS = 0.4
FAULTS = [
    {"drop": "before"},
    {"status": 500},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"delay": PATIENCE_SECONDS + 0.1},
]
# Who only looks does not mind which half of the call was lost.
FAULTS_OF_CHANGES = [*FAULTS, {"drop": "after"}]
NAME_TAKEN, START, SPARE_VOLUME = "GET /v1/apps/{app}$", "POST */start", "DELETE */volumes/*"
MAKING = [
    "POST /v1/apps$",
    NAME_TAKEN,
    "GET */ip_assignments",
    "POST */ip_assignments",
    "POST */secrets",
    "GET */machines",
    "GET */volumes",
    "POST */volumes",
    "POST */machines",
    "GET */machines/*",
    "GET */wait",
    START,
    SPARE_VOLUME,
]
# Asked within the same step as another of them, which gives up as a whole.
ALIKE = {"POST */ip_assignments", "GET */machines", "GET */volumes"}
UNDOING = ["GET */volumes", "DELETE */volumes/*", "DELETE /v1/apps/*"]
REGIONS = ("iad", "ewr", "yyz", "ord")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Everything a tenth as long as usual."""
    monkeypatch.setattr("core.leases._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("clouddev.services.provisioning.lease._PAUSE_SECONDS", 0.2)
    monkeypatch.setattr("clouddev.clients.data_database.errors._RETRY_SECONDS", 0.05)

    @lru_cache
    def fly(api_url, platform_url, token, org, *_, shares_budget):
        return Fly(
            api_url=api_url,
            platform_url=platform_url,
            token=token,
            org=org,
            budget=PATIENCE_SECONDS,
            shares_budget=shares_budget,
        )

    monkeypatch.setattr(fly_client, "_shared", fly)


@pytest.fixture
def hasty(monkeypatch):
    """Where every try fails, there is nothing to wait for."""
    monkeypatch.setattr("core.leases._PAUSE_SECONDS", 0.005)


def require_met(sandbox):
    assert sandbox.control("GET", "/faults")["faults"] == [], "nobody asked that question"


def remove(workshop, machine, person):
    workshop.destroy(machine, by=person)
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


def faults_of(question):
    return FAULTS if question.startswith("GET") else FAULTS_OF_CHANGES


def order(workshop, person, question, **options):
    """A machine that waits for a worker, who will come to ask this; gives what a fault of it matches, too."""
    machine = workshop.order(person, **options)
    if question == NAME_TAKEN:
        # An attempt before has made the app, so long ago that Fly has forgotten its key.
        workshop.sandbox.add_fly_app(machine.fly_app_id, network=machine.fly_app.network)
    elif question in {START, SPARE_VOLUME}:
        provisioning.work(machine.pk)
        leave_unfinished(workshop, machine, question)
    elif question == "GET */wait":
        workshop.sandbox.fly_clock(factor=30)
    return machine, question.format(app=machine.fly_app_id)


def leave_unfinished(workshop, machine, question):
    """As an attempt leaves it that died: the machine stands still, or there is a volume whose answer was lost."""
    machine.refresh_from_db()
    if question == START:
        workshop.sandbox.fly_machine(machine.fly_machine_id, state="stopped")
    else:
        Fly.from_settings().create_volume(
            machine.fly_app_id,
            name=machine_config.VOLUME_NAME,
            region="iad",
            size_gb=10,
            compute=machine_config.guest(),
        )
    Machine.objects.filter(pk=machine.pk).update(state=State.CREATING, ready_at=None)


@pytest.mark.slow(9)
@pytest.mark.parametrize("question", MAKING)
def test_a_fault_while_it_is_made_is_got_over(workshop, alice, sandbox, question):
    for fault in faults_of(question):
        wanted = ENVIRONMENT if question == "POST */secrets" else OWN_DATABASE
        machine, match = order(workshop, alice, question, environment=wanted)
        sandbox.faults(target="fly", match=match, **fault)
        provisioning.work(machine.pk)
        require_met(sandbox)
        sandbox.fly_clock(factor=1_000_000)
        workshop.require_whole(machine)
        remove(workshop, machine, alice)


@pytest.mark.parametrize("question", [question for question in MAKING if question not in ALIKE])
def test_a_fly_that_keeps_failing_is_given_up_with_a_sentence(workshop, alice, sandbox, hasty, question):
    machine, match = order(workshop, alice, question)
    sandbox.faults(target="fly", match=match, status=500, times=0)
    provisioning.work(machine.pk)
    sandbox.clear_faults()
    sandbox.fly_clock(factor=1_000_000)
    assert workshop.require_failed(alice) == "Fly failed. Please try again in a moment."
    workshop.require_whole(workshop.make(alice))


@pytest.mark.parametrize("question", UNDOING)
def test_a_fault_while_it_is_undone_is_got_over(workshop, alice, sandbox, question):
    for region in REGIONS:
        sandbox.fly_room(region, machines=0)
    for fault in faults_of(question):
        machine = workshop.order(alice, environment=OWN_DATABASE)
        sandbox.faults(target="fly", match=question, **fault)
        provisioning.work(machine.pk)
        require_met(sandbox)
        assert workshop.require_failed(alice).startswith("Fly has no room")


def test_a_fault_while_it_is_destroyed_is_got_over(workshop, alice, sandbox):
    for fault in FAULTS_OF_CHANGES:
        machine = workshop.make(alice, environment=OWN_DATABASE)
        sandbox.faults(target="fly", match="DELETE /v1/apps/*", **fault)
        remove(workshop, machine, alice)
        require_met(sandbox)


def test_a_fly_that_will_not_delete_is_asked_again_later(workshop, alice, sandbox, hasty):
    machine = workshop.make(alice)
    sandbox.faults(target="fly", match="DELETE /v1/apps/*", status=500, times=0)
    workshop.destroy(machine, by=alice)
    provisioning.work(machine.pk)
    assert (workshop.status(alice).status, workshop.status(alice).message) == (
        "destroying",
        "Removing the workspace and its volume…",
    )
    sandbox.clear_faults()
    workshop.let_go()
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


@pytest.fixture(params=["down", "refusing", "out of connections"])
def trouble(request, data_url, settings, as_superuser):
    """A context in which the data database can't be used."""
    name = sql.Identifier(urlsplit(data_url).path[1:])
    statements = {
        "refusing": ("ALTER ROLE {} NOLOGIN", "ALTER ROLE {} LOGIN"),
        "out of connections": ("ALTER DATABASE {} CONNECTION LIMIT 0", "ALTER DATABASE {} CONNECTION LIMIT -1"),
    }

    @contextlib.contextmanager
    def in_trouble():
        begin, end = statements.get(request.param, ("", ""))
        if begin:
            as_superuser.execute(sql.SQL(begin).format(name))
        else:
            settings.DATABASE_DATA_URL = urlsplit(data_url)._replace(netloc="admin:not-a-secret@127.0.0.1:9").geturl()
        try:
            yield
        finally:
            settings.DATABASE_DATA_URL = data_url
            if end:
                as_superuser.execute(sql.SQL(end).format(name))

    return in_trouble


def test_without_the_data_database_nothing_is_made_and_the_person_is_told(workshop, alice, hasty, trouble):
    machine = workshop.order(alice)
    with trouble():
        provisioning.work(machine.pk)
        status = workshop.status(alice)
        assert (status.status, status.message) == ("error", "Removing the database…")
        assert status.error.startswith("The data database ")
        require_sentence(status.error)
    workshop.let_go()
    provisioning.work(machine.pk)
    assert workshop.require_failed(alice) == status.error
    workshop.require_whole(workshop.make(alice))


def test_without_the_data_database_a_destruction_waits_for_it(workshop, alice, hasty, trouble):
    machine = workshop.make(alice)
    workshop.destroy(machine, by=alice)
    with trouble():
        provisioning.work(machine.pk)
        status = workshop.status(alice)
        assert (status.status, status.message) == ("destroying", "Removing the database…")
    workshop.let_go()
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()
