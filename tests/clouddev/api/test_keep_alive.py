"""POST /api/cloud-dev/keep-alive: an owner has a machine left alone for up to 30 days."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine
from clouddev.services.access import NoSuchMachine
from clouddev.services.idle_policy import keep_alive
from clouddev.services.power import NotReady
from tests.clouddev.api.expectations import BAD_NAMES, NO_MACHINE, STATES_OF_NO_USE, SUSPENDED, said
from tests.clouddev.builders import make_machine

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/keep-alive"
NOT_SOON = (400, {"error": "until: Give a time within the next 30 days."})


def asking(**ahead):
    return {"appName": "studio", "until": (timezone.now() + timedelta(**ahead)).isoformat()}


@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_is_refused(alice_api, body, sentence):
    assert said(alice_api.post(PATH, {**body, "until": None})) == (400, {"error": sentence})


@pytest.mark.parametrize("until", ["", "tomorrow", 7, [], "2030-02-30T00:00:00Z", "2030-01-01", True])
def test_what_is_no_time_is_refused(alice_api, studio, until):
    status, body = said(alice_api.post(PATH, {"appName": "studio", "until": until}))
    assert (status, body["error"].split(":")[0]) == (400, "until")


def test_the_time_has_to_be_given(alice_api, studio):
    assert said(alice_api.post(PATH, {"appName": "studio"})) == (400, {"error": "until: This field is required."})


@pytest.mark.parametrize("ahead", [{"seconds": -1}, {"days": 31}, {"days": 30_000}])
def test_a_time_that_is_over_or_far_away_is_refused(alice_api, studio, ahead):
    assert said(alice_api.post(PATH, asking(**ahead))) == NOT_SOON
    studio.refresh_from_db()
    assert studio.keep_alive_until is None


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_a_time_beyond_the_calendar_is_refused(alice_api, studio, until):
    assert alice_api.post(PATH, {"appName": "studio", "until": until}).status_code == 400


def test_without_a_token_nothing_changes(nobody_api, studio):
    assert nobody_api.post(PATH, asking(days=1)).status_code == 401


def test_a_suspended_owner_changes_nothing(alice_api, alice, studio):
    alice.is_active = False
    alice.save()
    assert said(alice_api.post(PATH, asking(days=1))) == (403, SUSPENDED)


def test_to_members_and_strangers_there_is_no_such_machine(bob_api, charlie_api, studio):
    assert said(bob_api.post(PATH, asking(days=1))) == said(charlie_api.post(PATH, asking(days=1))) == (404, NO_MACHINE)
    studio.refresh_from_db()
    assert studio.keep_alive_until is None


@pytest.mark.parametrize(("state", "sentence"), STATES_OF_NO_USE)
def test_what_is_gone_is_not_kept(alice_api, alice, state, sentence):
    make_machine(alice, "studio", state=state)
    assert said(alice_api.post(PATH, asking(days=1))) == (409, {"error": sentence})


def test_an_owner_keeps_it_alive_which_takes_a_warning_back(alice_api, alice, studio):
    studio.warned_at = timezone.now()
    studio.save()
    until = (timezone.now() + timedelta(days=30)).replace(microsecond=0)
    body = {"appName": "studio", "until": until.isoformat()}
    told = until.astimezone(UTC).isoformat()
    assert said(alice_api.post(PATH, body)) == (200, {"data": {"keepAliveUntil": told}})
    studio.refresh_from_db()
    assert (studio.keep_alive_until, studio.warned_at) == (until, None)
    event = AuditEvent.objects.get(action="machine.kept_alive")
    assert (event.actor_id, event.details) == (alice.pk, {"app": "studio", "until": told})


def test_a_time_elsewhere_is_answered_as_utc(alice_api, studio):
    until = (timezone.now() + timedelta(days=1)).replace(microsecond=0, tzinfo=None)
    answer = alice_api.post(PATH, {"appName": "studio", "until": f"{until.isoformat()}+02:00"})
    assert datetime.fromisoformat(answer.json()["data"]["keepAliveUntil"]) == until.replace(tzinfo=UTC) - timedelta(
        hours=2
    )


def test_null_takes_it_back(alice_api, studio):
    alice_api.post(PATH, asking(days=1))
    assert said(alice_api.post(PATH, {"appName": "studio", "until": None})) == (200, {"data": {"keepAliveUntil": None}})
    studio.refresh_from_db()
    assert studio.keep_alive_until is None
    assert AuditEvent.objects.filter(action="machine.let_go").count() == 1


def test_asking_for_what_is_so_already_is_recorded_once(alice_api, studio):
    body = asking(days=1)
    answers = [said(alice_api.post(PATH, body)) for _ in range(2)]
    assert answers[0] == answers[1]
    alice_api.post(PATH, {"appName": "studio", "until": None})
    alice_api.post(PATH, {"appName": "studio", "until": None})
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == [
        "machine.kept_alive",
        "machine.let_go",
    ]


@pytest.mark.parametrize(
    ("meanwhile", "refusal"),
    [
        (lambda row: row.update(state="destroying"), NotReady),
        (lambda row: row.delete(), NoSuchMachine),
    ],
)
def test_what_is_destroyed_meanwhile_is_not_kept_and_nothing_is_recorded(alice, studio, meanwhile, refusal):
    meanwhile(Machine.objects.filter(pk=studio.pk))
    with pytest.raises(refusal):
        keep_alive(machine=studio, until=None, actor=alice, now=timezone.now())
    assert not AuditEvent.objects.exists()
