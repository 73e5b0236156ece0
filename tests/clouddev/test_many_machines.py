"""Forty people who make and destroy machines at once, on two workers, while Fly's rate limits hold."""

import collections
import threading
import time

import pytest

from clouddev.models import Machine
from fly.models import FlyApp
from tests.clouddev.data_databases import query
from tests.conftest import make_person, token_of
from tests.fly.fly_assertions import apps_at_fly, at_once, kinds_at_fly

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(150)]
PEOPLE = 40
SECONDS = 110
TOO_MANY = 429
# Fly's limits are by the second; a second of its clock passes in a quarter of one.
PACE = 4
# Of questions to Fly about one machine's making and removal, with those that Fly puts off.
MOST_QUESTIONS = 40


class Somebody:
    """A person who makes a machine, and then destroys it, destroys it at once, or keeps it."""

    def __init__(self, server, number):
        self.server, self.number = server, number
        self.login = f"person{number}"
        self.token = token_of(make_person(self.login))
        self.plan = ("destroy", "keep", "destroy", "destroy at once")[number % 4]
        self.fly_name, self.seen = "", []

    def ask(self, method, path, **body):
        answer = self.server.request(method, path, token=self.token, json=body or None)
        assert answer.status == 200, (path, answer.data)
        return answer.json()["data"]

    def live(self):
        created = self.ask("POST", "/api/cloud-dev/create", appName="studio", envVars={"MARKER": self.login})
        self.fly_name = created["flyAppName"]
        if self.plan == "destroy at once":
            time.sleep(self.number / 10)
        else:
            self.wait_until("running")
        if self.plan != "keep":
            self.ask("POST", "/api/cloud-dev/destroy", appName="studio")
            self.wait_until("not_found")

    def wait_until(self, wanted):
        until = time.monotonic() + SECONDS
        while True:
            status = self.ask("GET", "/api/cloud-dev/status?appName=studio")
            self.seen.append(status)
            if status["status"] == wanted:
                return
            assert status["status"] != "error", self.seen[-3:]
            assert time.monotonic() < until, self.seen[-3:]
            time.sleep(1)


@pytest.fixture
def limits(sandbox):
    """Fly's rate limits, with its clock going faster."""
    sandbox.fly_settings(rate_limits=True)
    over = threading.Event()

    def tick():
        while not over.wait(1 / PACE):
            sandbox.fly_clock(advance=1 - 1 / PACE)

    thread = threading.Thread(target=tick)
    thread.start()
    yield
    over.set()
    thread.join()
    sandbox.fly_settings(rate_limits=False)


@pytest.mark.slow(25)
def test_forty_people_make_and_destroy_machines_and_each_ends_as_asked(
    workshop, workers, machine_server, sandbox, limits
):
    people = [Somebody(machine_server, number) for number in range(PEOPLE)]
    for _ in range(2):
        workers.start(WORKER_CONCURRENCY=6)
    began = time.monotonic()

    assert at_once(PEOPLE, lambda number: people[number].live()) == [None] * PEOPLE
    took = time.monotonic() - began

    assert len({person.fly_name for person in people}) == PEOPLE
    kept = {person.fly_name: person for person in people if person.plan == "keep"}
    require_only(workshop, sandbox, kept)
    require_limits_respected(sandbox, took)


def require_only(workshop, sandbox, kept):
    """Those that were kept are whole and their own, and of the others there is nothing."""
    fly = sandbox.state()["fly"]
    assert apps_at_fly(sandbox) == set(kept)
    assert collections.Counter(machine["app"] for machine in fly["machines"].values()) == dict.fromkeys(kept, 1)
    assert collections.Counter(volume["app"] for volume in fly["volumes"].values()) == dict.fromkeys(kept, 1)
    assert all(machine["state"] == "started" for machine in fly["machines"].values())
    for name, person in kept.items():
        secrets = fly["secrets"][name]
        assert secrets["MARKER"] == person.login
        assert kinds_at_fly(sandbox, name) == ["v4", "v6"]
        assert query(secrets["DATABASE_URL"], "SELECT current_user") == [(name.replace("-", "_"),)]
    assert set(Machine.objects.values_list("fly_app_id", "state")) == {(name, "ready") for name in kept}
    for name in FlyApp.objects.exclude(pk__in=kept).values_list("name", flat=True):
        assert workshop.leftovers(name.replace("-", "_")) == {}
    assert set(FlyApp.objects.exclude(pk__in=kept).values_list("state", flat=True)) == {FlyApp.State.GONE}
    sandbox.fly_settings(rate_limits=False)
    workshop.require_nothing_to_reconcile()


def require_limits_respected(sandbox, took):
    """What Fly puts off is asked again after a pause, and nobody asks more than the work needs."""
    entries = [entry for entry in sandbox.requests("fly") if entry["path"].startswith("/v1/")]
    put_off = [entry for entry in entries if entry["status"] == TOO_MANY]
    assert put_off, "otherwise nothing was proved"
    of_app = collections.Counter(entry["path"].split("/")[3] for entry in entries if entry["path"].count("/") > 2)
    of_app.pop("sandbox", None)
    assert max(of_app.values()) <= MOST_QUESTIONS
    assert len(put_off) < len(entries) / 4
    # About one app, since one worker at a time has to do with that.
    require_patience(entry for entry in entries if entry["path"].startswith("/v1/apps"))
    lists = [entry for entry in entries if entry["path"].startswith("/v1/orgs/")]
    # One answer is kept for seconds; whoever destroys something has it forgotten.
    assert len(lists) <= took / 2 + 2 + PEOPLE


def require_patience(entries):
    """Who is put off asks the same again when Fly said that it may, and not before."""
    until, put_off = {}, 0
    for entry in entries:
        question = (entry["method"], entry["path"], entry["query"], entry["body"])
        assert entry["at"] >= until.get(question, 0), question
        if entry["status"] == TOO_MANY:
            until[question] = entry["at"] + float(entry["retry_after"])
            put_off += 1
    assert put_off, "otherwise nothing was proved"
