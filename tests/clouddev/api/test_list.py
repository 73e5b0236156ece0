"""GET /api/cloud-dev/list: the machines that the caller may use, with Fly's word for how each is."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clouddev.models import IdlePolicy, Machine
from clouddev.names import linux_user_of
from tests.clouddev.api.expectations import SUSPENDED, asked_at_fly, said
from tests.clouddev.builders import add_member, make_machine, put_at_fly

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/list"
ASKS_ALL = "GET /v1/orgs/sandbox/machines"
State = Machine.State


def words(answer):
    return {machine["app_name"]: machine["fly_state"] for machine in answer.json()["data"]}


def test_without_a_token_nothing_is_told(nobody_api, studio):
    assert nobody_api.get(PATH).status_code == 401


def test_a_suspended_person_sees_nothing(alice_api, alice, studio):
    alice.is_active = False
    alice.save()
    assert said(alice_api.get(PATH)) == (403, SUSPENDED)


def test_a_stranger_sees_none_and_fly_is_not_asked(charlie_api, studio_at_fly, sandbox):
    assert said(charlie_api.get(PATH)) == (200, {"data": []})
    assert asked_at_fly(sandbox) == []


def test_owner_and_member_see_the_machine_each_in_their_role(alice_api, bob_api, alice, bob, studio_at_fly):
    for api, person, role in ((alice_api, alice, "owner"), (bob_api, bob, "member")):
        told = {
            "app_name": "studio",
            "fly_app_name": studio_at_fly.fly_app_id,
            "app_url": studio_at_fly.url,
            "role": role,
            "linux_user": linux_user_of(person.pk),
            "fly_state": "started",
            "notice": None,
        }
        assert said(api.get(PATH)) == (200, {"data": [told]})


def test_the_newest_comes_first(alice_api, alice, sandbox):
    for days, name in ((2, "oldest"), (0, "newest"), (1, "middle")):
        make_machine(alice, name, state=State.FAILED, created_at=timezone.now() - timedelta(days=days))
    assert list(words(alice_api.get(PATH))) == ["newest", "middle", "oldest"]


@pytest.mark.parametrize("state", ["started", "stopped", "suspended", "replacing"])
def test_the_word_is_flys_own(alice_api, alice, sandbox, state):
    make_machine(alice, "studio", sandbox=sandbox, fly_state=state)
    assert words(alice_api.get(PATH)) == {"studio": state}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.CREATING, "creating"),
        (State.UNDOING, "error"),
        (State.FAILED, "error"),
        (State.DESTROYING, "destroying"),
    ],
)
def test_of_what_is_made_or_removed_we_say_so_without_asking_fly(alice_api, alice, sandbox, state, word):
    make_machine(alice, "studio", state=state)
    assert words(alice_api.get(PATH)) == {"studio": word}
    assert asked_at_fly(sandbox) == []


def test_a_machine_that_fly_does_not_have_is_unknown(alice_api, studio, sandbox):
    assert words(alice_api.get(PATH)) == {"studio": "unknown"}


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 401}, {"status": 429}, {"drop": "before", "times": 2}, {"body": 7}]
)
def test_while_fly_is_in_trouble_the_list_says_unknown(alice_api, studio_at_fly, sandbox, fault):
    sandbox.faults(target="fly", match="GET /v1/orgs/*", **fault)
    answer = alice_api.get(PATH)
    assert (answer.status_code, words(answer)) == (200, {"studio": "unknown"})


def test_without_a_token_for_fly_the_list_says_unknown(alice_api, studio, settings):
    settings.FLY_API_TOKEN = ""
    assert words(alice_api.get(PATH)) == {"studio": "unknown"}


def test_a_fly_that_fails_is_not_asked_by_everybody(alice_api, bob_api, studio_at_fly, sandbox):
    sandbox.faults(target="fly", match="GET /v1/orgs/*", status=500)
    for api in (alice_api, bob_api, alice_api):
        api.get(PATH)
    assert asked_at_fly(sandbox) == [ASKS_ALL]


def test_who_sees_no_page_is_warned_here(alice_api, alice, sandbox):
    machine = make_machine(alice, "studio", warned_at=timezone.now())
    make_machine(alice, "shop")
    IdlePolicy.objects.create(
        organization=alice.personal_organization, warn_after_days=10, then="delete", days_to_react=7
    )
    day = timezone.now() + timedelta(days=7)
    told = {row["app_name"]: row["notice"] for row in alice_api.get(PATH).json()["data"]}
    assert told["shop"] is None
    assert told["studio"] == (
        f"Nobody has used this workspace for long. It will be deleted with its data on {day:%-d %B %Y}, "
        "unless somebody does."
    )
    status = alice_api.get("/api/cloud-dev/status", appName="studio").json()["data"]
    assert status["message"].endswith(told["studio"])
    assert "notice" not in status
    # What is on its way out anyway needs no warning.
    Machine.objects.filter(pk=machine.pk).update(state=State.DESTROYING)
    assert {row["notice"] for row in alice_api.get(PATH).json()["data"]} == {None}


def test_the_cost_is_the_same_for_one_machine_and_for_fifty(alice_api, alice, bob, sandbox, studio_at_fly):
    alice_api.get(PATH)  # the first use of a token in a minute is noted
    costs = []
    for count in (1, 50):
        for number in range(count - 1):
            machine = make_machine(bob, f"machine-{number}")
            add_member(machine, alice)
            put_at_fly(machine, sandbox, "stopped")
        sandbox.clear_requests()
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            answer = alice_api.get(PATH)
        assert len(answer.json()["data"]) == count
        assert "unknown" not in words(answer).values()
        costs.append((len(queries), asked_at_fly(sandbox)))
    assert costs == [(2, [ASKS_ALL])] * 2


def test_who_asks_again_within_seconds_does_not_ask_fly(alice_api, bob_api, studio_at_fly, sandbox):
    assert [words(api.get(PATH)) for api in (alice_api, bob_api, alice_api)] == [{"studio": "started"}] * 3
    assert asked_at_fly(sandbox) == [ASKS_ALL]
