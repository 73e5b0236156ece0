"""What somebody leaves behind who no longer fits the sign-up policy: it ends, and what others need is named."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent, User
from accounts.services import departures, users
from clouddev.models import CronJob
from clouddev.services import fly_states, power
from clouddev.services import leavers as workspaces
from deployments.models import Build
from integrations.models import Connection
from integrations.services.unfinished import finish_left_behind
from tests.accounts.leaving import TEAM, a_list, known, look, many
from tests.clouddev.builders import add_member, make_machine
from tests.clouddev.cron_jobs import make_job
from tests.clouddev.worker_harness import wait_for
from tests.conftest import APIClient, token_of
from tests.deployments.builders import make_build, make_deployment
from tests.integrations.conftest import own

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(sandbox, settings):
    a_list(settings, organizations=TEAM)
    sandbox.github_organization(TEAM, members=["alice", "bob", "charlie", "crayon-bot"])
    sandbox.fly_clock(factor=1_000_000)
    for login in ("alice", "bob", "charlie"):
        known(login)
    return sandbox


def person(login):
    return User.objects.get(username=login)


def bob_leaves(sandbox):
    sandbox.github_organization(TEAM, members=["alice", "charlie", "crayon-bot"])


def connected(sandbox, user, connection_id="bobs"):
    sandbox.seed(integration="acme", connection_id=connection_id, tags={"end_user_id": str(user.pk)})
    return own(user, connection_id)


def state_at_fly(sandbox, machine):
    return sandbox.state()["fly"]["machines"][machine.fly_machine_id]["state"]


def to_do(user):
    return departures.to_do([user.pk]).get(user.pk, [])


def test_from_the_removal_to_a_dead_token_a_stopped_machine_and_a_revoked_connection(team):
    bob, alice = person("bob"), person("alice")
    api, machine, held = APIClient(token_of(bob)), make_machine(bob, "studio", sandbox=team), connected(team, bob)
    shared = make_machine(alice, "shared")
    add_member(shared, bob)
    job, build = make_job(shared, by=bob), make_build(make_deployment(bob, "shop"))
    assert api.get("/api/cloud-dev/list").status_code == 200

    bob_leaves(team)
    team.clear_requests()
    assert look().suspended == 1
    # At once, with one look.
    assert api.get("/api/cloud-dev/list").status_code == 403
    assert CronJob.objects.get(pk=job.pk).paused_at is not None
    assert Build.objects.get(pk=build.pk).state == Build.State.CANCELED
    assert len(team.requests("github")) == 4
    assert (team.requests("nango"), team.requests("fly")) == ([], [])
    assert to_do(bob) == [
        "1 connection to be deleted at Nango",
        "the app shop goes on at Fly",
        "the workspace studio is to be stopped",
        "the cron job nightly of shared waits for a member to resume it",
    ]

    # By the workers' next turn: a question and an order to each.
    assert finish_left_behind(now=timezone.now()).deleted == 1
    power.carry_on(machine.pk, now=timezone.now())
    assert not Connection.objects.filter(pk=held.pk).exists()
    assert team.state()["nango"]["connections"] == {}
    assert state_at_fly(team, machine) in {"stopping", "stopped"}
    assert (len(team.requests("nango")), len(team.requests("fly"))) == (2, 2)
    for action in ("user.left", "connection.deleted", "machine.stopped", "build.canceled", "cron_job.paused"):
        assert AuditEvent.objects.get(action=action).actor_id is None


def test_a_deletion_that_nango_refuses_is_tried_again_and_told_until_then(team):
    bob = person("bob")
    connected(team, bob)
    bob_leaves(team)
    look()
    team.faults(target="nango", match="DELETE /connections/*", status=500)
    assert finish_left_behind(now=timezone.now()).deleted == 0
    assert to_do(bob) == ["1 connection to be deleted at Nango"]
    assert finish_left_behind(now=timezone.now() + timedelta(minutes=2)).deleted == 1
    assert to_do(bob) == []


def test_connections_may_be_kept_for_a_while_and_are_theirs_again_when_they_come_back(team, settings):
    settings.LEAVERS_KEEP_CONNECTIONS_HOURS = 24
    bob = person("bob")
    held = connected(team, bob)
    bob_leaves(team)
    look()
    assert finish_left_behind(now=timezone.now() + timedelta(hours=23), whatever_failed=True).deleted == 0
    assert "kept until" in to_do(bob)[0]
    team.github_person("bob", orgs=[TEAM])
    look()
    held.refresh_from_db()
    assert (held.state, held.deleting_since) == (Connection.State.ACTIVE, None)
    bob_leaves(team)
    look(hours=4)
    assert finish_left_behind(now=timezone.now() + timedelta(hours=29)).deleted == 1


def test_what_its_owner_had_deleted_before_is_not_given_back(team):
    bob = person("bob")
    held = own(bob, "gone", state=Connection.State.DELETING, deleting_since=timezone.now(), claimed_at=timezone.now())
    bob_leaves(team)
    look()
    team.github_person("bob", orgs=[TEAM])
    assert look().restored == 1
    held.refresh_from_db()
    assert held.state == Connection.State.DELETING


def test_a_workspace_that_others_use_goes_on_and_is_named(team):
    bob = person("bob")
    shared = make_machine(bob, "shared", fly_state="started")
    add_member(shared, person("alice"))
    bob_leaves(team)
    look()
    shared.refresh_from_db()
    assert (shared.wanted, workspaces.stop_again(now=timezone.now())) == ("", 0)
    assert to_do(bob) == ["the workspace shared is used by Alice: transfer it"]


def test_a_workspace_whose_last_member_leaves_is_stopped(team):
    bob, alice = person("bob"), person("alice")
    shared = make_machine(bob, "shared")
    add_member(shared, alice)
    users.suspend(user=alice, by=None)
    bob_leaves(team)
    look(more_than_half=True)
    shared.refresh_from_db()
    assert shared.wanted == "stopped"


def test_a_workspace_that_something_starts_again_is_stopped_again(team):
    machine = make_machine(person("bob"), "studio", sandbox=team)
    bob_leaves(team)
    look()
    power.carry_on(machine.pk, now=timezone.now())
    wait_for(lambda: state_at_fly(team, machine) == "stopped", "it has stopped")
    team.fly_machine(machine.fly_machine_id, state="started")
    fly_states.forget_states()
    fly_states.note_states()
    assert workspaces.stop_again(now=timezone.now()) == 1
    power.carry_on(machine.pk, now=timezone.now())
    assert state_at_fly(team, machine) in {"stopping", "stopped"}


def test_a_workspace_of_somebody_who_is_only_suspended_goes_on(team):
    machine = make_machine(person("bob"), "studio", fly_state="started")
    users.suspend(user=person("bob"), by=None)
    assert workspaces.stop_again(now=timezone.now()) == 0
    machine.refresh_from_db()
    assert machine.wanted_at is None


def test_cron_jobs_that_were_paused_for_it_go_on_when_they_come_back(team):
    bob, alice = person("bob"), person("alice")
    shared = make_machine(alice, "shared")
    add_member(shared, bob)
    mine, by_hand = make_job(shared, by=bob), make_job(shared, by=bob, workflow_name="weekly")
    before = timezone.now() - timedelta(days=1)
    CronJob.objects.filter(pk=by_hand.pk).update(paused_at=before, paused_reason="Paused by a member.")
    bob_leaves(team)
    look()
    team.github_person("bob", orgs=[TEAM])
    look()
    mine.refresh_from_db()
    by_hand.refresh_from_db()
    assert (mine.paused_at, mine.paused_reason, by_hand.paused_at) == (None, "", before)
    assert mine.next_run_at > timezone.now()
    assert AuditEvent.objects.filter(action="cron_job.resumed", target_id=str(mine.pk)).exists()


def test_a_machine_stays_stopped_when_they_come_back_and_they_may_start_it(team):
    bob = person("bob")
    machine = make_machine(bob, "studio", sandbox=team)
    bob_leaves(team)
    look()
    power.carry_on(machine.pk, now=timezone.now())
    team.github_person("bob", orgs=[TEAM])
    look()
    assert workspaces.stop_again(now=timezone.now()) == 0
    answer = APIClient(token_of(bob)).post("/api/cloud-dev/start", {"appName": "studio"})
    assert answer.status_code == 200


def test_what_is_still_to_do_costs_as_many_queries_for_many_as_for_one(team):
    people = many(12)[:3]
    for each in people:
        each.refresh_from_db()
        make_machine(each, "studio")
        make_deployment(each, "shop")
    with CaptureQueriesContext(connection) as one:
        departures.to_do([people[0].pk])
    with CaptureQueriesContext(connection) as all_of_them:
        told = departures.to_do([each.pk for each in people])
    assert (len(told), len(one), len(all_of_them)) == (3, 5, 5)


def test_what_a_leaver_costs_does_not_grow_with_the_people(team):
    bob_leaves(team)
    with CaptureQueriesContext(connection) as few:
        assert look().suspended == 1
    team.github_organization(TEAM, members=["alice", "charlie", "crayon-bot", *(f"member-{n}" for n in range(500))])
    shown = {each["login"]: each["id"] for each in team.state()["github"]["people"].values()}
    User.objects.bulk_create(
        User(username=name, github_login=name, github_id=shown[name]) for name in (f"member-{n}" for n in range(500))
    )
    team.github_organization(TEAM, members=["charlie", "crayon-bot", *(f"member-{n}" for n in range(500))])
    with CaptureQueriesContext(connection) as more:
        found = look()
    assert (found.asked, found.leavers) == (503, ["alice"])
    assert len(more) <= len(few) < 45
