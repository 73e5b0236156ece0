"""POST /api/connections/create, several at once, cut short and tried again."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from integrations.models import Connection
from integrations.sources.nango import Nango
from tests.integrations.conftest import at_nango, own

PATH = "/api/connections/create"
TAKEN = {"error": "This connection id is already in use. Choose another one."}
State = Connection.State


def create(api, connection_id="main", integration="acme", **fields):
    body = {"integration_id": integration, "connection_id": connection_id, "credentials": {"apiKey": "alices-key"}}
    return api.post(PATH, body | fields)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(3))
def test_of_two_people_who_want_one_id_at_once_one_gets_it(_round, alice, bob, alice_api, bob_api, sandbox):
    people = {"alice": (alice, alice_api), "bob": (bob, bob_api)}
    barrier, answers = threading.Barrier(2), {}
    sandbox.faults(target="nango", match="GET /connections", delay=0.2, times=0)

    def attempt(name):
        try:
            barrier.wait()
            answers[name] = create(people[name][1], credentials={"apiKey": f"{name}s-key"})
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=[name]) for name in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    won = [name for name, answer in answers.items() if answer.status_code == 200]
    lost = [answer for answer in answers.values() if answer.status_code != 200]
    assert len(won) == 1
    assert [(answer.status_code, answer.json()) for answer in lost] == [(409, TAKEN)]
    held = at_nango(sandbox, "main")
    assert held is not None
    assert held["credentials"]["apiKey"] == f"{won[0]}s-key"
    assert held["tags"]["end_user_id"] == str(people[won[0]][0].pk)
    assert Connection.objects.get().owner == people[won[0]][0]


@pytest.mark.django_db(transaction=True)
def test_the_same_person_may_try_eight_times_at_once(alice, alice_api, sandbox):
    barrier, statuses = threading.Barrier(8), []

    def attempt():
        try:
            barrier.wait()
            statuses.append(create(alice_api).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 8
    assert Connection.objects.get().state == State.ACTIVE


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"drop": "after", "times": 2}, 502),
        ({"status": 500}, 502),
        ({"status": 201, "body": "<html></html>"}, 502),
    ],
)
def test_when_it_is_open_whether_it_was_made_the_same_person_can_settle_it(
    alice, alice_api, charlie_api, sandbox, fault, status
):
    sandbox.faults(target="nango", match="POST /connections", **fault)

    assert create(alice_api).status_code == status
    assert Connection.objects.get().state == State.CLAIMING
    assert create(charlie_api).json() == TAKEN
    assert create(alice_api).status_code == 200
    assert Connection.objects.get().state == State.ACTIVE


def test_a_cut_after_the_change_is_tried_once_more(alice_api, sandbox):
    sandbox.faults(target="nango", match="POST /connections", drop="after")

    assert create(alice_api).status_code == 200
    assert Connection.objects.get().state == State.ACTIVE


@pytest.mark.parametrize(
    ("match", "fault", "status"),
    [
        ("POST /connections", {"status": 429}, 503),
        ("POST /connections", {"status": 403}, 503),
        ("GET /connections", {"status": 500}, 502),
        ("GET /connections", {"drop": "before", "times": 2}, 502),
    ],
)
def test_when_nothing_was_made_the_id_is_free_again(alice_api, sandbox, match, fault, status):
    sandbox.faults(target="nango", match=match, **fault)

    assert create(alice_api).status_code == status
    assert not Connection.objects.exists()


def test_a_failed_update_leaves_the_connection_as_it_is(alice, alice_api, sandbox):
    create(alice_api)
    sandbox.settings(refused_credentials=["bad-key"])

    assert create(alice_api, credentials={"apiKey": "bad-key"}).status_code == 400
    assert Connection.objects.get().state == State.ACTIVE


def claimed(person, *, minutes):
    return own(
        person, "main", state=State.CLAIMING, claim=uuid.uuid4(), claimed_at=timezone.now() - timedelta(minutes=minutes)
    )


def test_a_fresh_claim_keeps_others_away(alice, charlie_api, calls):
    claimed(alice, minutes=0.9)

    assert create(charlie_api).json() == TAKEN
    assert calls() == []


def test_a_stale_claim_of_which_nango_has_nothing_is_released(alice, charlie, charlie_api, sandbox):
    claimed(alice, minutes=3)

    assert create(charlie_api).status_code == 200
    assert Connection.objects.get().owner == charlie


def test_a_stale_claim_that_its_owner_takes_up_again_meanwhile_is_not_released(
    alice, charlie_api, sandbox, monkeypatch
):
    row = claimed(alice, minutes=3)
    real = Nango.find_connection

    def take_up_meanwhile(self, **asked):
        found = real(self, **asked)
        Connection.objects.filter(pk=row.pk).update(claim=uuid.uuid4(), claimed_at=timezone.now())
        return found

    monkeypatch.setattr(Nango, "find_connection", take_up_meanwhile)

    assert create(charlie_api).json() == TAKEN
    assert Connection.objects.get().owner == alice


def test_an_attempt_that_fails_takes_nothing_from_a_later_one_that_may_have_been_made(
    alice, alice_api, charlie_api, sandbox, monkeypatch
):
    sandbox.settings(refused_credentials=["bad-key"])
    real = Nango.find_connection

    def create_meanwhile(self, **asked):
        monkeypatch.setattr(Nango, "find_connection", real)
        found = real(self, **asked)
        sandbox.faults(target="nango", match="POST /connections", drop="after", times=2)
        assert create(alice_api).status_code == 502
        return found

    monkeypatch.setattr(Nango, "find_connection", create_meanwhile)

    assert create(alice_api, credentials={"apiKey": "bad-key"}).status_code == 400
    assert Connection.objects.get().owner == alice
    assert create(charlie_api).json() == TAKEN


def test_a_stale_claim_that_was_made_stays_its_makers(alice, charlie_api, connect):
    claimed(alice, minutes=3)
    connect(alice, connection_id="main")

    assert create(charlie_api).json() == TAKEN
    assert Connection.objects.get().owner == alice


def test_thirty_a_minute_are_enough(alice_api, sandbox):
    answers = [create(alice_api, f"c-{number}", credentials={"apiKey": "k"}).status_code for number in range(31)]

    assert answers == [200] * 30 + [429]
