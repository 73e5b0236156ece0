"""Machines that nobody uses: what becomes of them is what their organization wants, which is nothing at first."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, Organization
from clouddev.models import IdlePolicy, Machine
from clouddev.services import idle_policy, members, offers, power
from fly.clients.machines_api import Fly
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import make_job, make_run

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ASKS_ALL = ("GET", "/v1/orgs/sandbox/machines")


@pytest.fixture
def now():
    """Days after all that the sandbox's clock says, so that its times are in the past."""
    return timezone.now() + 40 * DAY


@pytest.fixture
def policy(alice):
    return set_policy(alice, stop_after_minutes=60)


def set_policy(person, **fields):
    """The organization's policy, as if it had been made long ago."""
    policy, _ = IdlePolicy.objects.update_or_create(organization=person.personal_organization, defaults=fields)
    IdlePolicy.objects.filter(pk=policy.pk).update(changed_at=timezone.now() - 400 * DAY)
    policy.refresh_from_db()
    return policy


def machine_of(person, sandbox, *, used_at, name="studio", **fields):
    """A machine, at Fly too, that was last used then."""
    machine = make_machine(person, name, sandbox=sandbox, **fields)
    machine.last_active_at = used_at
    machine.save()
    sandbox.clear_requests()
    return machine


def state_at_fly(sandbox, machine):
    return sandbox.state()["fly"]["machines"][machine.fly_machine_id]["state"]


def asked(sandbox):
    return [(entry["method"], entry["path"]) for entry in sandbox.requests("fly")]


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [None, {}, {"days_to_react": 0, "then": "delete"}])
def test_without_rules_nothing_is_done_and_fly_is_not_asked(alice, sandbox, now, fields):
    if fields is not None:
        set_policy(alice, **fields)
    machine_of(alice, sandbox, used_at=now - 400 * DAY)
    before = Machine.objects.values().get()
    idle_policy.look(now=now)
    assert asked(sandbox) == []
    assert Machine.objects.values().get() == before
    assert actions() == []


def test_a_machine_that_nobody_uses_is_stopped_which_is_no_use_of_it(alice, sandbox, now, policy):
    machine = machine_of(alice, sandbox, used_at=now - HOUR)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) in {"stopping", "stopped"}
    machine.refresh_from_db()
    assert machine.last_active_at == now - HOUR
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.target_id) == ("machine.stopped_idle", None, str(machine.pk))
    assert event.organization_id == machine.organization_id
    sandbox.fly_clock(advance=60)
    sandbox.clear_requests()
    idle_policy.look(now=now + HOUR)
    assert asked(sandbox) == [ASKS_ALL]


def test_a_machine_that_was_used_lately_runs_on(alice, sandbox, now, policy):
    machine = machine_of(alice, sandbox, used_at=now - HOUR + timedelta(seconds=1))
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"


def test_only_the_organizations_own_machines_are_meant(alice, bob, sandbox, now, policy):
    machine = machine_of(bob, sandbox, used_at=now - DAY)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"


def test_one_that_shall_be_kept_alive_is_left_alone_until_then(alice, sandbox, now, policy):
    machine = machine_of(alice, sandbox, used_at=now - DAY, keep_alive_until=now + MINUTE)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"
    idle_policy.look(now=now + MINUTE)
    assert state_at_fly(sandbox, machine) != "started"


def test_one_whose_cron_job_runs_is_left_alone_until_the_run_is_over(alice, sandbox, now, policy):
    machine = machine_of(alice, sandbox, used_at=now - DAY)
    run = make_run(make_job(machine), now - HOUR)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"
    run.state, run.finished_at = "failed", now
    run.save()
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) != "started"


def test_a_start_by_flys_proxy_is_use(alice, sandbox, policy):
    machine = machine_of(alice, sandbox, used_at=timezone.now() - DAY, warned_at=timezone.now() - HOUR)
    idle_policy.look(now=timezone.now())
    assert state_at_fly(sandbox, machine) == "started"
    machine.refresh_from_db()
    assert timezone.now() - machine.last_active_at < MINUTE
    assert machine.warned_at is None


def test_a_stop_by_fly_is_no_use(alice, sandbox, policy):
    machine = machine_of(alice, sandbox, used_at=timezone.now() - DAY, fly_state="stopped")
    idle_policy.look(now=timezone.now())
    machine.refresh_from_db()
    assert timezone.now() - machine.last_active_at > 23 * HOUR


@pytest.mark.parametrize("state", [Machine.State.CREATING, Machine.State.FAILED, Machine.State.DESTROYING])
def test_machines_that_are_not_ready_are_left_to_others(alice, sandbox, now, policy, state):
    machine_of(alice, sandbox, used_at=now - DAY)
    Machine.objects.update(state=state)
    idle_policy.look(now=now)
    assert asked(sandbox) == []


def test_fly_is_asked_once_for_all_and_then_about_those_that_are_stopped(alice, sandbox, now, policy):
    for number in range(4):
        machine_of(alice, sandbox, used_at=now, name=f"busy-{number}")
    idle_one = machine_of(alice, sandbox, used_at=now - DAY)
    sandbox.clear_requests()
    idle_policy.look(now=now)
    path = f"/v1/apps/{idle_one.fly_app_id}/machines"
    stops = ("POST", f"{path}/{idle_one.fly_machine_id}/stop")
    assert asked(sandbox) == [ASKS_ALL, ("GET", path), stops]


def test_while_fly_can_not_be_asked_nothing_is_done(alice, sandbox, now, policy):
    set_policy(alice, warn_after_days=1, then="delete", days_to_react=0)
    machine = machine_of(alice, sandbox, used_at=now - 9 * DAY, warned_at=now - 5 * DAY)
    sandbox.faults(target="fly", match="GET /v1/orgs", status=503, times=0)
    idle_policy.look(now=now)
    machine.refresh_from_db()
    assert machine.state == Machine.State.READY


def test_a_machine_that_fly_does_not_tell_of_is_left_alone(alice, sandbox, now):
    set_policy(alice, warn_after_days=1)
    machine = machine_of(alice, sandbox, used_at=now - 9 * DAY)
    make_machine(alice, "other", last_active_at=now)
    sandbox.remove_fly_app(machine.fly_app_id)
    idle_policy.look(now=now)
    assert actions() == []


def test_one_machine_that_can_not_be_stopped_keeps_no_other_running(alice, sandbox, now, policy):
    first = machine_of(alice, sandbox, used_at=now - DAY, name="first")
    second = machine_of(alice, sandbox, used_at=now - DAY, name="second")
    sandbox.faults(target="fly", match=f"GET /v1/apps/{first.fly_app_id}", status=404, times=0)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, first) == "started"
    assert state_at_fly(sandbox, second) != "started"


def test_one_that_is_used_while_it_is_looked_at_runs_on(alice, sandbox, now, policy, monkeypatch):
    machine = machine_of(alice, sandbox, used_at=now - DAY)
    real = idle_policy._at_fly

    def use_meanwhile():
        Machine.objects.update(last_active_at=now)
        return real()

    monkeypatch.setattr(idle_policy, "_at_fly", use_meanwhile)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"


# --- warning, and then ----------------------------------------------------------------------------


@pytest.fixture
def unused(alice, sandbox, now):
    """A machine, at rest, that was last used thirty days ago."""
    return machine_of(alice, sandbox, used_at=now - 30 * DAY, fly_state="stopped")


def test_its_members_are_warned_once(alice, unused, now):
    policy = set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    for later in (timedelta(0), HOUR, 6 * DAY):
        idle_policy.look(now=now + later)
    unused.refresh_from_db()
    assert (unused.warned_at, unused.state) == (now, Machine.State.READY)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id) == ("machine.idle_warned", None)
    assert event.details == {"app": "studio", "then": "delete", "on": (now + 7 * DAY).isoformat()}
    notice = idle_policy.notice_of(unused, policy)
    assert notice is not None
    assert (notice.on, notice.action) == (now + 7 * DAY, "delete")


def test_the_warning_says_what_happens_and_when():
    day = datetime(2030, 5, 6, tzinfo=UTC)
    assert idle_policy.Notice(on=day, action="delete").sentence == (
        "Nobody has used this workspace for long. It will be deleted with its data on 6 May 2030, unless somebody does."
    )
    assert "stopped on 6 May 2030" in idle_policy.Notice(on=day, action="stop").sentence


@pytest.mark.parametrize("page", ["/workspaces/", "/workspaces/{}/"])
def test_the_warning_is_on_the_pages_of_the_machine(alice, unused, now, client, page):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    sentence = "Nobody has used this workspace for long. It will be deleted with its data on"
    assert sentence not in client.get(page.format(unused.pk)).content.decode()
    idle_policy.look(now=now)
    assert sentence in client.get(page.format(unused.pk)).content.decode()


def test_people_who_may_not_use_it_lose_nothing_for_not_using_it(alice, unused, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    Organization.objects.filter(pk=unused.organization_id).update(suspended_at=now)
    for later in (timedelta(0), 8 * DAY):
        idle_policy.look(now=now + later)
    unused.refresh_from_db()
    assert (unused.state, unused.warned_at, actions()) == (Machine.State.READY, None, [])


def test_their_machine_is_stopped_all_the_same(alice, sandbox, now):
    machine = machine_of(alice, sandbox, used_at=now - HOUR)
    set_policy(alice, stop_after_minutes=30)
    Organization.objects.filter(pk=machine.organization_id).update(suspended_at=now)
    idle_policy.look(now=now)
    assert actions() == ["machine.stopped_idle"]


def test_nobody_is_warned_too_early(alice, unused, now):
    set_policy(alice, warn_after_days=31)
    idle_policy.look(now=now)
    assert actions() == []


def test_without_a_warning_there_is_nothing_to_tell(alice, unused):
    assert idle_policy.notice_of(unused, set_policy(alice, warn_after_days=1)) is None
    unused.warned_at = timezone.now()
    assert idle_policy.notice_of(unused, None) is None
    assert idle_policy.notice_of(unused, set_policy(alice, warn_after_days=None)) is None


def test_after_the_days_to_react_it_is_deleted(alice, unused, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    idle_policy.look(now=now)
    idle_policy.look(now=now + 7 * DAY)
    unused.refresh_from_db()
    assert unused.state == Machine.State.DESTROYING
    assert actions() == ["machine.idle_warned", "machine.deleted_idle", "machine.destroyed"]
    assert not AuditEvent.objects.exclude(actor_id=None).exists()
    assert ProcrastinateJob.objects.filter(args={"machine_id": str(unused.pk)}).count() == 1


def test_or_it_is_stopped(alice, sandbox, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="stop")
    machine = machine_of(alice, sandbox, used_at=now - 30 * DAY)
    idle_policy.look(now=now)
    assert state_at_fly(sandbox, machine) == "started"
    idle_policy.look(now=now + 7 * DAY)
    assert state_at_fly(sandbox, machine) != "started"
    assert actions() == ["machine.idle_warned", "machine.stopped_idle"]
    machine.refresh_from_db()
    assert machine.state == Machine.State.READY


def test_the_warning_that_was_acted_on_is_taken_back_and_not_repeated(alice, sandbox, now):
    set_policy(alice, warn_after_days=30, days_to_react=0, then="stop")
    machine = machine_of(alice, sandbox, used_at=now - 30 * DAY)
    idle_policy.look(now=now)
    idle_policy.look(now=now + MINUTE)
    machine.refresh_from_db()
    assert machine.warned_at is None
    sandbox.fly_clock(advance=60)
    for later in (HOUR, 2 * HOUR, 9 * DAY):
        idle_policy.look(now=now + later)
    assert actions() == ["machine.idle_warned", "machine.stopped_idle"]


def test_the_warning_of_another_that_was_warned_at_the_same_moment_still_counts(alice, sandbox, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="stop")
    machine_of(alice, sandbox, used_at=now - 30 * DAY)
    spared = machine_of(alice, sandbox, name="spared", used_at=now - 30 * DAY)
    idle_policy.look(now=now)
    Machine.objects.filter(pk=spared.pk).update(keep_alive_until=now + 8 * DAY)
    idle_policy.look(now=now + 7 * DAY)
    assert actions()[2:] == ["machine.stopped_idle"]
    assert Machine.objects.get(warned_at=now) == spared


def test_a_machine_that_runs_is_stopped_and_its_members_have_the_days_again(alice, sandbox, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    machine = machine_of(alice, sandbox, used_at=now - 30 * DAY)
    idle_policy.look(now=now)
    idle_policy.look(now=now + 7 * DAY)
    assert state_at_fly(sandbox, machine) != "started"
    sandbox.fly_clock(advance=60)
    for days, state in ((7, "ready"), (13, "ready"), (14, "destroying")):
        idle_policy.look(now=now + days * DAY)
        machine.refresh_from_db()
        assert machine.state == state
    assert actions()[:3] == ["machine.idle_warned", "machine.stopped_idle", "machine.deleted_idle"]


@pytest.mark.parametrize("state", ["started", "starting", "stopping", "suspending", "created", "replacing", None])
def test_only_what_is_at_rest_at_that_moment_is_deleted(alice, sandbox, unused, now, state):
    """Whatever Fly said of all machines before."""
    set_policy(alice, warn_after_days=30, days_to_react=0, then="delete")
    Machine.objects.update(warned_at=now - DAY)
    there = Fly.from_settings().list_machines(unused.fly_app_id)
    path = f"/v1/apps/{unused.fly_app_id}/machines"
    told = sandbox.state()["fly"]["machines"][there[0].id]
    sandbox.faults(target="fly", match=f"GET {path}", body=[{**told, "state": state}] if state else [])
    idle_policy.look(now=now)
    unused.refresh_from_db()
    assert (unused.state, actions()) == (Machine.State.READY, [])
    idle_policy.look(now=now)
    unused.refresh_from_db()
    assert unused.state == Machine.State.DESTROYING


def test_a_suspended_one_is_at_rest(alice, sandbox, now):
    set_policy(alice, warn_after_days=30, days_to_react=0, then="delete")
    machine = machine_of(alice, sandbox, used_at=now - 30 * DAY, warned_at=now - DAY, fly_state="suspended")
    idle_policy.look(now=now)
    machine.refresh_from_db()
    assert machine.state == Machine.State.DESTROYING


def test_a_machine_that_goes_to_another_organization_is_not_deleted_for_the_old_ones_warning(alice, bob, unused, now):
    for person in (alice, bob):
        set_policy(person, warn_after_days=30, days_to_react=7, then="delete")
    idle_policy.look(now=now)
    offer = members.transfer(machine=unused, login=bob.github_login, actor=alice, now=now + 6 * DAY)
    assert offer is not None
    offers.accept(offer_id=offer.pk, person=bob, now=now + 6 * DAY)
    unused.refresh_from_db()
    assert unused.organization == bob.personal_organization
    assert (unused.warned_at, unused.last_active_at) == (None, now + 6 * DAY)
    idle_policy.look(now=now + 8 * DAY)
    unused.refresh_from_db()
    assert unused.state == Machine.State.READY


def test_use_takes_the_warning_back(alice, unused, now):
    set_policy(alice, warn_after_days=30, days_to_react=7, then="delete")
    idle_policy.look(now=now)
    power.start(machine=unused, actor=alice, now=now + 6 * DAY)
    idle_policy.look(now=now + 8 * DAY)
    unused.refresh_from_db()
    assert (unused.warned_at, unused.state) == (None, Machine.State.READY)


def test_rules_that_became_stricter_leave_the_days_to_react(alice, unused, now):
    policy = set_policy(alice, warn_after_days=30, days_to_react=7, then="stop")
    idle_policy.look(now=now)
    IdlePolicy.objects.filter(pk=policy.pk).update(then="delete", changed_at=now + 100 * DAY)
    idle_policy.look(now=now + 100 * DAY)
    idle_policy.look(now=now + 106 * DAY)
    unused.refresh_from_db()
    assert unused.state == Machine.State.READY
    idle_policy.look(now=now + 107 * DAY)
    unused.refresh_from_db()
    assert unused.state == Machine.State.DESTROYING


def test_saving_a_policy_notes_when(policy):
    policy.then = "delete"
    policy.save()
    assert timezone.now() - policy.changed_at < MINUTE


@pytest.mark.parametrize("spare", [{"keep_alive_until": True}, {"run": True}, {"used": True}])
def test_what_is_spared_is_not_deleted_either(alice, unused, now, spare, monkeypatch):
    set_policy(alice, warn_after_days=30, days_to_react=0, then="delete")
    Machine.objects.update(warned_at=now - DAY)
    real = idle_policy._at_fly

    def meanwhile():
        """After the machine was looked up, before anything is done to it."""
        if "keep_alive_until" in spare:
            Machine.objects.update(keep_alive_until=now + HOUR)
        elif "run" in spare:
            make_run(make_job(unused))
        else:
            Machine.objects.update(last_active_at=now, warned_at=None)
        return real()

    monkeypatch.setattr(idle_policy, "_at_fly", meanwhile)
    idle_policy.look(now=now)
    unused.refresh_from_db()
    assert unused.state == Machine.State.READY
    assert actions() == []
