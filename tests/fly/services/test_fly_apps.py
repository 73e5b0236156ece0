"""Making and deleting apps at Fly: once, whatever breaks on the way."""

import re
import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from django.utils import timezone

from core.errors import ApplicationError, Unavailable, UpstreamFailed
from core.http_client import ServiceFailed
from fly.clients.machines_api import FlyFailed, FlyNotConfigured, FlyRefusesToken
from fly.models import CLAIM_LASTS, FlyApp
from fly.services import fly_apps
from tests.fly.fly_assertions import age, apps_at_fly, at_once, changes_at_fly, kinds_at_fly
from tests.stopwatch import Stopwatch

State = FlyApp.State
pytestmark = pytest.mark.django_db
BOTH = ["shared_v4", "v6"]


@pytest.fixture
def intended(sandbox):
    return fly_apps.intend(now=timezone.now())


def ensure(app, **options):
    fly_apps.ensure(fly_app_id=app.pk, now=timezone.now(), **options)
    app.refresh_from_db()


def remove(app):
    fly_apps.remove(fly_app_id=app.pk, now=timezone.now())
    app.refresh_from_db()


def test_names_and_networks_can_not_be_guessed(db):
    found = [fly_apps.intend(now=timezone.now()) for _ in range(20)]

    words = {app.name for app in found} | {app.network for app in found}
    assert len(words) == 40
    assert all(re.fullmatch(r"crayon-[0-9a-f]{16}", word) for word in words)


def test_an_app_gets_its_own_network_and_two_addresses(intended, sandbox):
    ensure(intended)

    assert (intended.state, intended.claim, intended.claimed_at) == (State.READY, None, None)
    assert intended.ready_at is not None
    assert sandbox.state()["fly"]["apps"][intended.name]["network"] == intended.network
    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_other_addresses_can_be_asked_for(intended, sandbox):
    ensure(intended, addresses=("v4", "v6"))

    assert kinds_at_fly(sandbox, intended.name) == ["v4", "v6"]


def test_a_ready_app_costs_no_call(intended, sandbox):
    ensure(intended)
    sandbox.clear_requests()

    ensure(intended)

    assert sandbox.requests("fly") == []


STEPS = ["POST /v1/apps$", "GET */ip_assignments", "POST */ip_assignments"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "before", "times": 2},
        {"drop": "after", "times": 2},
        {"status": 500},
        {"status": 503},
        {"status": 429},
        {"status": 200, "body": "<html></html>"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_what_a_fault_left_behind_is_finished_by_the_next_call(intended, sandbox, step, fault):
    sandbox.faults(target="fly", match=step, **fault)

    # The client itself gets over some of them.
    with suppress(UpstreamFailed, Unavailable):
        ensure(intended, patience=timedelta())
    sandbox.clear_faults()
    intended.refresh_from_db()
    assert intended.claim is None
    ensure(intended)

    assert intended.state == State.READY
    assert apps_at_fly(sandbox) == {intended.name}
    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_a_cut_after_the_app_was_made_makes_no_second_one(intended, sandbox):
    sandbox.faults(target="fly", match="POST /v1/apps$", drop="after", times=2)

    with pytest.raises(ServiceFailed):
        ensure(intended)
    assert apps_at_fly(sandbox) == {intended.name}
    ensure(intended)

    assert apps_at_fly(sandbox) == {intended.name}
    assert intended.state == State.READY


@pytest.mark.parametrize("status", [404, 401])
def test_it_waits_for_fly_to_see_what_it_has_just_made(intended, sandbox, status):
    sandbox.fly_settings(app_lag_reads=2, app_lag_status=status)

    ensure(intended)

    assert intended.state == State.READY


@pytest.mark.parametrize("status", [404, 401])
def test_it_waits_no_longer_than_it_is_told_to(intended, sandbox, status):
    sandbox.fly_settings(app_lag_reads=100, app_lag_status=status)

    with pytest.raises(fly_apps.StillChanging) as refused:
        ensure(intended, patience=timedelta(seconds=0.3))

    assert refused.value.retry_after == 5
    intended.refresh_from_db()
    assert (intended.state, intended.claim) == (State.INTENDED, None)


def test_slow_answers_one_after_the_other_hold_nobody_for_long_and_each_call_gets_on(intended, sandbox, monkeypatch):
    monkeypatch.setattr(fly_apps, "BEGINS_NO_CALL_AFTER_SECONDS", 1.0)
    sandbox.faults(target="fly", match="* /v1/apps*", delay=0.45, times=100)

    with Stopwatch() as watch, pytest.raises(fly_apps.StillChanging) as refused:
        ensure(intended)

    assert watch.at_ease < 2
    assert refused.value.retry_after == 5
    intended.refresh_from_db()
    assert (intended.state, intended.claim) == (State.INTENDED, None)
    assert kinds_at_fly(sandbox, intended.name) == ["v6"]
    ensure(intended)
    assert intended.state == State.READY
    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_it_slows_down_when_fly_says_so(intended, sandbox):
    sandbox.faults(target="fly", match="POST */ip_assignments", status=429, headers={"Retry-After": "1"})

    ensure(intended)

    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_it_does_not_wait_where_fly_wants_to_be_left_alone_for_longer_than_there_is(intended, sandbox):
    sandbox.faults(target="fly", match="POST */ip_assignments", status=429, headers={"Retry-After": "9"})

    with pytest.raises(fly_apps.StillChanging) as refused:
        ensure(intended, patience=timedelta(seconds=5))

    assert refused.value.retry_after == 9


@pytest.mark.parametrize("status", [409, 422])
def test_an_address_that_fly_says_is_there_already_is_looked_for(intended, sandbox, status):
    sandbox.fly_settings(duplicate_ip_status=status)
    ensure(intended)
    FlyApp.objects.update(state=State.INTENDED)
    # The first list is of before the addresses were given.
    sandbox.faults(
        target="fly", match="GET */ip_assignments", body={"ips": [{"ip": "2a09:8280:1::1", "shared": False}]}
    )

    ensure(intended)

    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_a_refused_address_is_no_success(intended, sandbox):
    sandbox.faults(target="fly", match="POST */ip_assignments", status=422)

    with pytest.raises(FlyFailed):
        ensure(intended)

    assert FlyApp.objects.get().state == State.INTENDED


def test_our_own_app_is_recognised_when_fly_has_forgotten_the_key(intended, sandbox):
    sandbox.add_fly_app(intended.name, network=intended.network)

    ensure(intended)

    assert intended.state == State.READY
    assert kinds_at_fly(sandbox, intended.name) == BOTH


def test_a_taken_name_that_fly_does_not_show_may_be_ours_for_five_minutes(intended, sandbox):
    sandbox.add_fly_app(intended.name, network=intended.network)
    sandbox.faults(target="fly", match="GET /v1/apps/*", status=404, times=0)

    with pytest.raises(fly_apps.StillChanging):
        ensure(intended, patience=timedelta())
    assert FlyApp.objects.get().state == State.INTENDED
    age(intended, minutes=6)
    with pytest.raises(fly_apps.NoLongerOurs):
        ensure(intended, patience=timedelta())
    assert FlyApp.objects.get().state == State.GONE


@pytest.mark.parametrize("owner", [{"org_slug": "somebody-else"}, {"network": "another"}, {}])
def test_a_name_that_somebody_else_has_is_given_up(intended, sandbox, owner):
    sandbox.add_fly_app(intended.name, **owner)

    with pytest.raises(fly_apps.NoLongerOurs):
        ensure(intended)

    assert FlyApp.objects.get().state == State.GONE
    assert kinds_at_fly(sandbox, intended.name) == []
    # Another one that is ready is no answer for this one.
    other = fly_apps.intend(now=timezone.now())
    FlyApp.objects.filter(pk=other.pk).update(state=State.READY, ready_at=timezone.now())
    with pytest.raises(fly_apps.NoLongerOurs):
        ensure(intended)
    remove(intended)
    assert apps_at_fly(sandbox) == {intended.name}


def test_a_refused_token_is_told_as_the_operators_matter(intended, sandbox, settings):
    settings.FLY_API_TOKEN = "not-the-token"

    with pytest.raises(FlyRefusesToken):
        ensure(intended)

    assert FlyApp.objects.get().claim is None


def test_without_a_token_nothing_is_claimed(intended, settings):
    settings.FLY_API_TOKEN = ""

    with pytest.raises(FlyNotConfigured):
        ensure(intended)

    assert FlyApp.objects.get().claim is None


@pytest.mark.django_db(transaction=True)
def test_sixteen_at_once_make_one_app(intended, sandbox):
    outcomes = at_once(16, lambda _: fly_apps.ensure(fly_app_id=intended.pk, now=timezone.now()))

    assert all(outcome is None or isinstance(outcome, fly_apps.StillChanging) for outcome in outcomes)
    assert None in outcomes
    assert apps_at_fly(sandbox) == {intended.name}
    assert kinds_at_fly(sandbox, intended.name) == BOTH
    assert changes_at_fly(sandbox).count("POST /v1/apps") == 1


def test_a_live_attempt_keeps_others_away(intended, sandbox):
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now() - CLAIM_LASTS / 2)

    with pytest.raises(fly_apps.StillChanging):
        ensure(intended)
    with pytest.raises(fly_apps.StillChanging):
        remove(intended)

    assert sandbox.requests("fly") == []


def test_a_dead_attempt_is_followed_by_another(intended, sandbox):
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now() - 2 * CLAIM_LASTS)

    ensure(intended)

    assert intended.state == State.READY


def test_an_attempt_that_lost_its_claim_records_nothing(intended, sandbox, monkeypatch):
    """As after a pause that was longer than a claim lasts."""
    create_app = fly_apps.Fly.create_app

    def create_and_lose(fly, **fields):
        create_app(fly, **fields)
        FlyApp.objects.update(claim=uuid.uuid4())

    monkeypatch.setattr(fly_apps.Fly, "create_app", create_and_lose)
    with pytest.raises(fly_apps.StillChanging):
        ensure(intended)

    assert FlyApp.objects.get().state == State.INTENDED
    assert kinds_at_fly(sandbox, intended.name) == []


def test_an_app_that_is_to_be_deleted_meanwhile_is_not_finished(intended, sandbox, monkeypatch):
    create_app = fly_apps.Fly.create_app

    def create_and_change_ones_mind(fly, **fields):
        create_app(fly, **fields)
        with pytest.raises(fly_apps.StillChanging):
            fly_apps.remove(fly_app_id=intended.pk, now=timezone.now())

    monkeypatch.setattr(fly_apps.Fly, "create_app", create_and_change_ones_mind)
    with pytest.raises(fly_apps.NoLongerOurs):
        ensure(intended)
    remove(intended)

    assert intended.state == State.GONE
    assert apps_at_fly(sandbox) == set()


def test_a_removed_app_is_gone_with_all_that_is_in_it(intended, sandbox):
    ensure(intended)

    remove(intended)

    assert (intended.state, intended.claim) == (State.GONE, None)
    assert intended.gone_at is not None
    held = sandbox.state()["fly"]
    assert (held["apps"], held["ips"]) == ({}, {})
    sandbox.clear_requests()
    remove(intended)
    assert sandbox.requests("fly") == []


def test_removing_what_fly_does_not_have_is_done(intended, sandbox):
    remove(intended)

    assert intended.state == State.GONE


@pytest.mark.parametrize(
    "fault",
    [{"drop": "before", "times": 2}, {"drop": "after", "times": 2}, {"status": 500}, {"status": 401}, {"status": 403}],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_failed_removal_is_remembered_and_repeated(intended, sandbox, fault):
    ensure(intended)
    sandbox.faults(target="fly", match="DELETE /v1/apps", **fault)

    with pytest.raises(ApplicationError):
        remove(intended)
    row = FlyApp.objects.get()
    assert (row.state, row.claim) == (State.DELETING, None)
    remove(intended)

    assert intended.state == State.GONE
    assert apps_at_fly(sandbox) == set()
