"""Machines, their tokens, cron jobs and idle policies in the operators' pages."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, User
from clouddev.dashboard import figures, machines_by_day, machines_by_state
from clouddev.models import IdlePolicy, Machine, Member, Offer, WebhookToken
from clouddev.services import filters, fly_states
from fly.models import Discrepancy
from tests.clouddev.builders import add_member, make_machine, make_offer, make_webhook_token
from tests.clouddev.cron_jobs import make_job, make_run
from tests.deployments.builders import make_deployment, make_discrepancy
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
MACHINES, TOKENS = "/admin/clouddev/machine/", "/admin/clouddev/webhooktoken/"
POLICIES = "/admin/clouddev/idlepolicy/"
ACTIONS = ("start_one", "stop_one", "transfer_one", "destroy_one")
NOW = timezone.now()
DAY = timedelta(days=1)
State = Machine.State


@pytest.fixture
def operator(db):
    return make_operator(superuser=False)


@pytest.fixture
def browser(operator):
    return browser_of(operator)


def make_in(fly_state, *arguments, **fields):
    """A machine of which Fly's last word was this."""
    machine = make_machine(*arguments, **fields)
    Machine.objects.filter(pk=machine.pk).update(fly_state=fly_state)
    return machine


def shown(browser, path=MACHINES, **parameters):
    return {str(row) for row in browser.get(path, parameters).context["cl"].result_list}


def press(browser, row, action, path=MACHINES, **typed):
    """Press a dialog's button and read the page that follows."""
    return browser.post(f"{path}{row.pk}/{action}/", typed, follow=True).content.decode()


def buttons(browser, row, actions=ACTIONS, path=MACHINES):
    html = browser.get(f"{path}{row.pk}/change/").content.decode()
    return {action for action in actions if f"/{action}/" in html}


# --- looking -------------------------------------------------------------------------------------


def test_the_list_says_whose_how_and_where_each_machine_is(browser, alice):
    make_in("started", alice, "studio", region="ams", last_active_at=NOW - 3 * DAY, cpus=4, memory_mb=2048)
    html = browser.get(MACHINES).content.decode()
    row = html[html.index("studio") :].partition("</tr>")[0].replace("\xa0", " ")
    for words in ("Alice", "ready", "started", "ams", "4 shared CPUs, 2048 MB", "3 days ago"):
        assert words in row


@pytest.mark.parametrize("what", ["running", "idle", "under-way", "failed", "orphaned", "kept"])
def test_machines_are_filtered_by_what_an_operator_looks_for(browser, alice, what):
    make_in("started", alice, "running")
    make_in("stopped", alice, "idle", last_active_at=NOW - 8 * DAY)
    make_machine(alice, "under-way", state=State.CREATING)
    make_machine(alice, "failed", state=State.FAILED)
    make_machine(alice, "kept", keep_alive_until=NOW + DAY)
    orphaned = make_machine(alice, "orphaned")
    make_discrepancy(orphaned.fly_app_id, Discrepancy.Kind.MISSING)
    assert shown(browser, what=what) == {what}


def test_one_that_nobody_has_used_since_it_was_made_long_ago_is_idle_too(browser, alice):
    make_machine(alice, "studio", created_at=NOW - 8 * DAY, last_active_at=None)
    assert shown(browser, what="idle") == {"studio"}


@pytest.mark.parametrize("words", ["studio", "alice", "bob", "crayon-dev-000000aa"])
def test_machines_are_found_by_name_person_and_name_at_fly(browser, alice, bob, charlie, words):
    add_member(make_machine(alice, "studio", fly_name="crayon-dev-000000aa"), bob)
    make_machine(charlie, "blog")
    assert shown(browser, q=words) == {"studio"}


def test_a_machines_page_shows_members_and_tokens_and_nothing_sealed(browser, alice, bob):
    machine = make_machine(alice, "studio", state=State.CREATING, sealed_environment=b"visibly-fake-sealed")
    add_member(machine, bob)
    token = make_webhook_token(machine, bob)
    html = browser.get(f"{MACHINES}{machine.pk}/change/").content.decode()
    assert "Bob" in html
    assert f"{TOKENS}{token.pk}/change/" in html
    assert ("visibly-fake-sealed" in html, "ssh-ed25519" in html) == (False, False)


@pytest.mark.parametrize("column", ["sealed_ssh_key", "sealed_environment", "ssh_public_key"])
def test_what_is_not_shown_cannot_be_looked_for(browser, column):
    assert browser.get(MACHINES, {f"{column}__startswith": "a"}).status_code == 400


def test_what_differs_at_fly_says_which_machine_it_is_about(browser, alice):
    machine = make_machine(alice, "studio")
    make_discrepancy(machine.fly_app_id, Discrepancy.Kind.MISSING)
    make_discrepancy(make_deployment(alice, "shop").fly_app_id, Discrepancy.Kind.MISSING)
    html = browser.get("/admin/fly/discrepancy/").content.decode()
    assert ("workspace studio" in html, "deployment shop" in html) == (True, True)
    page = browser.get(f"{MACHINES}{machine.pk}/change/").content.decode()
    assert f"/admin/fly/discrepancy/?q={machine.fly_app_id}" in page
    assert "workspace studio" in browser.get("/admin/fly/flyapp/").content.decode()


def test_cron_jobs_and_their_runs_are_there_to_be_read_without_what_they_are_given(browser, alice):
    job = make_job(make_machine(alice, "studio"), input={"secret": "visibly-fake-input"})
    run = make_run(job, error="The workspace did not answer.")
    html = browser.get(f"/admin/clouddev/cronjob/{job.pk}/change/").content.decode()
    assert ("nightly" in html, "visibly-fake-input" in html) == (True, False)
    assert "The workspace did not answer." in browser.get(f"/admin/clouddev/cronrun/{run.pk}/change/").content.decode()
    for path in ("/admin/clouddev/cronjob/add/", "/admin/clouddev/cronrun/add/"):
        assert browser.get(path).status_code == 403


# --- acting --------------------------------------------------------------------------------------


def test_an_operator_stops_and_starts_a_machine_and_the_trail_says_who(browser, operator, alice, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    assert "studio is stopping." in press(browser, machine, "stop_one")
    assert AuditEvent.objects.get(action="machine.stopped").actor_id == operator.pk
    sandbox.fly_clock(advance=60)
    assert "studio is starting." in press(browser, machine, "start_one")
    assert AuditEvent.objects.get(action="machine.started").actor_id == operator.pk


def test_trouble_at_fly_is_told_to_the_operator(browser, alice, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    sandbox.faults(target="fly", status=503)
    assert "studio: Fly" in press(browser, machine, "stop_one")


def test_an_operator_destroys_a_machine(browser, operator, alice):
    machine = make_machine(alice, "studio")
    assert "studio is being destroyed." in press(browser, machine, "destroy_one", name="studio")
    assert Machine.objects.get().state == State.DESTROYING
    assert AuditEvent.objects.get(action="machine.destroyed").actor_id == operator.pk


def test_a_machine_is_not_destroyed_before_its_name_was_typed(browser, alice):
    machine = make_machine(alice, "studio")
    page = browser.get(f"{MACHINES}{machine.pk}/destroy_one/").content.decode()
    assert f"Destroy the workspace studio of alice ({machine.fly_app_id})?" in page
    for typed in ({}, {"name": "blog"}):
        assert "That is not “studio”. Nothing was done." in press(browser, machine, "destroy_one", **typed)
    assert Machine.objects.get().state == State.READY


def test_selected_machines_are_destroyed_after_a_page_that_names_them_all(browser, alice, bob):
    machines = [make_machine(alice, "studio"), make_machine(bob, "blog")]
    make_machine(bob, "kept")
    form = {"action": "destroy_selected", "_selected_action": [str(machine.pk) for machine in machines]}
    page = browser.post(MACHINES, form).content.decode()
    for words in (
        "Destroy: these 2?",
        "the workspace studio of alice",
        "the workspace blog of bob",
        "Type “destroy 2”",
    ):
        assert words in page
    assert "the workspace kept" not in page
    assert "They are removed at Fly with their files, and so are their databases." in page
    assert "It is removed" not in page
    browser.post(MACHINES, {**form, "post": "yes", "name": "destroy 3"})
    assert shown(browser, state__exact="destroying") == set()
    browser.post(MACHINES, {**form, "post": "yes", "name": "destroy 2"})
    assert shown(browser, state__exact="destroying") == {"studio", "blog"}


def test_one_selected_machine_is_destroyed_after_its_name_was_typed(browser, alice):
    machine = make_machine(alice, "studio")
    form = {"action": "destroy_selected", "_selected_action": [str(machine.pk)], "post": "yes"}
    browser.post(MACHINES, {**form, "name": "destroy 1"})
    assert Machine.objects.get().state == State.READY
    browser.post(MACHINES, {**form, "name": "studio"})
    assert Machine.objects.get().state == State.DESTROYING


def test_more_machines_than_a_page_names_are_not_destroyed_at_once(browser, alice, monkeypatch):
    monkeypatch.setattr("core.admin_actions.MOST_AT_ONCE", 2)
    machines = [make_machine(alice, f"studio-{number}") for number in range(3)]
    form = {"action": "destroy_selected", "_selected_action": [str(machine.pk) for machine in machines]}
    for more in ({}, {"post": "yes", "name": "destroy 3"}):
        page = browser.post(MACHINES, {**form, **more}, follow=True).content.decode()
        assert "Select 2 at most, so that all of them can be named. Nothing was done." in page
    assert set(Machine.objects.values_list("state", flat=True)) == {State.READY}


def test_a_superuser_transfers_a_machine(operator, alice, bob):
    User.objects.filter(pk=operator.pk).update(is_superuser=True)
    browser = browser_of(operator)
    machine = make_machine(alice, "studio")
    page = browser.get(f"{MACHINES}{machine.pk}/transfer_one/").content.decode()
    assert f"Transfer the workspace studio of alice ({machine.fly_app_id}) to somebody else?" in page
    assert "studio is bob&#x27;s now." in press(browser, machine, "transfer_one", login=" @bob")
    assert Machine.objects.get().owner_id == bob.pk
    assert set(machine.members.values_list("user__username", "role")) == {("bob", "owner"), ("alice", "member")}
    assert AuditEvent.objects.get(action="machine.transferred").actor_id == operator.pk


def test_a_superuser_asks_nobody_but_passes_no_quota(alice, bob, settings):
    settings.MACHINES_PER_PERSON = 1
    own = make_machine(bob, "other")
    machine = make_machine(alice, "studio")
    make_offer(machine, bob)
    browser = browser_of(make_operator("second"))
    page = press(browser, machine, "transfer_one", login="bob")
    assert "bob has 1 workspace, which is the most they may have." in page
    assert (Machine.objects.get(pk=machine.pk).owner_id, Offer.objects.count()) == (alice.pk, 1)
    own.delete()
    press(browser, machine, "transfer_one", login="bob")
    assert (Machine.objects.get().owner_id, Offer.objects.count()) == (bob.pk, 0)


def test_a_machine_is_not_transferred_beside_another_of_its_name(alice, bob):
    make_machine(bob, "Studio")
    page = press(browser_of(make_operator("second")), make_machine(alice, "studio"), "transfer_one", login="bob")
    assert "bob has a workspace called “studio” already." in page


def test_operators_see_what_waits_for_consent(browser, alice, bob):
    machine = make_machine(alice, "studio")
    make_offer(machine, bob, "transfer")
    page = browser.get(f"{MACHINES}{machine.pk}/change/").content.decode()
    assert ("offers" in page, "Transfer" in page, page.count(">Bob<") > 0) == (True, True, True)


@pytest.mark.parametrize("login", ["bob", "operator"])
def test_an_operator_who_is_no_superuser_transfers_nothing(browser, alice, bob, login):
    machine = make_machine(alice, "studio")
    page = press(browser, machine, "transfer_one", login=login)
    assert re.search(r"Only a superuser may [^.<]+\. Ask a superuser\.", page)
    assert Machine.objects.get().owner_id == alice.pk


@pytest.mark.parametrize("login", ["second", "@Second"])
def test_a_superuser_transfers_nobodys_machine_to_themselves(alice, login):
    machine = make_machine(alice, "studio")
    page = press(browser_of(make_operator("second")), machine, "transfer_one", login=login)
    assert "You can&#x27;t transfer somebody&#x27;s workspace to yourself. Ask another superuser." in page
    assert Machine.objects.get().owner_id == alice.pk


@pytest.mark.parametrize("login", ["", "nobody-here"])
def test_a_machine_is_transferred_to_nobody_who_is_unknown(alice, login):
    browser = browser_of(make_operator("second"))
    machine = make_machine(alice, "studio")
    press(browser, machine, "transfer_one", login=login)
    assert Machine.objects.get().owner_id == alice.pk
    assert Member.objects.count() == 1


def test_only_what_makes_sense_is_offered(browser, alice):
    offered = {
        state: buttons(browser, make_machine(alice, state, state=state))
        for state in (State.READY, State.FAILED, State.CREATING, State.DESTROYING)
    }
    assert offered == {
        State.READY: {"start_one", "stop_one", "destroy_one"},
        State.FAILED: {"destroy_one"},
        State.CREATING: {"destroy_one"},
        State.DESTROYING: set(),
    }
    assert buttons(browser_of(make_operator("second")), Machine.objects.get(app_name="ready")) == set(ACTIONS)


def test_an_operator_revokes_a_webhook_token_once(browser, operator, alice):
    token = make_webhook_token(make_machine(alice), alice)
    assert buttons(browser, token, ("revoke_one",), TOKENS) == {"revoke_one"}
    press(browser, token, "revoke_one", TOKENS)
    assert WebhookToken.objects.get().revoked_at is not None
    assert AuditEvent.objects.get(action="webhook_token.revoked").actor_id == operator.pk
    assert "This token is revoked already." in press(browser, token, "revoke_one", TOKENS)
    assert buttons(browser, token, ("revoke_one",), TOKENS) == set()


# --- idle policies, which are edited ---------------------------------------------------------------


def policy_form(organization, **fields):
    form = {"organization": str(organization.pk), "stop_after_minutes": "", "warn_after_days": "", "days_to_react": "7"}
    return {**form, "then": "stop", **fields}


def test_an_operator_makes_changes_and_deletes_a_policy_and_the_trail_says_so(browser, operator, alice):
    organization = alice.personal_organization
    assert browser.post(f"{POLICIES}add/", policy_form(organization, stop_after_minutes="30")).status_code == 302
    policy = IdlePolicy.objects.get(organization=organization, stop_after_minutes=30)
    for _ in range(2):
        browser.post(f"{POLICIES}{policy.pk}/change/", policy_form(organization, warn_after_days="60", then="delete"))
    policy.refresh_from_db()
    assert (policy.stop_after_minutes, policy.warn_after_days, policy.then) == (None, 60, "delete")
    browser.post(f"{POLICIES}{policy.pk}/delete/", {"post": "yes"})
    assert not IdlePolicy.objects.exists()
    trail = AuditEvent.objects.filter(action__startswith="idle_policy.", actor_id=operator.pk).order_by("id")
    assert [event.action for event in trail] == ["idle_policy.made", "idle_policy.changed", "idle_policy.deleted"]


@pytest.mark.parametrize("field", ["stop_after_minutes", "warn_after_days", "days_to_react"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_a_policy_that_would_stop_what_has_just_started_is_refused(browser, alice, field, value):
    answer = browser.post(f"{POLICIES}add/", policy_form(alice.personal_organization, **{field: value}))
    assert answer.status_code == 200
    assert not IdlePolicy.objects.exists()


def test_a_policy_stays_with_its_organization(browser, alice, bob):
    policy = IdlePolicy.objects.create(organization=alice.personal_organization)
    browser.post(f"{POLICIES}{policy.pk}/change/", policy_form(bob.personal_organization, stop_after_minutes="30"))
    assert list(IdlePolicy.objects.values_list("organization", "stop_after_minutes")) == [
        (alice.personal_organization.pk, 30)
    ]


def test_policies_are_not_deleted_several_at_once(browser, alice):
    policy = IdlePolicy.objects.create(organization=alice.personal_organization)
    form = {"action": "delete_selected", "_selected_action": [str(policy.pk)], "post": "yes"}
    browser.post(POLICIES, form)
    assert IdlePolicy.objects.exists()


def test_a_policy_is_not_made_for_a_superusers_organization_by_another_operator(browser, alice):
    boss = make_operator("second")
    page = browser.post(f"{POLICIES}add/", policy_form(boss.personal_organization, stop_after_minutes="1"))
    assert "Only a superuser may do this to an operator. Ask a superuser." in page.content.decode()
    assert not IdlePolicy.objects.exists()


# --- figures -------------------------------------------------------------------------------------


def test_the_front_page_counts_machines_by_what_was_last_heard(browser, alice):
    make_in("started", alice, "running")
    make_in("stopped", alice, "idle", last_active_at=NOW - 30 * DAY)
    make_machine(alice, "failed", state=State.FAILED)
    make_machine(alice, "under-way", state=State.CREATING)
    found = {figure.title: (figure.value, figure.note) for figure in figures(now=NOW)}
    assert found == {
        "Running workspaces": (1, "of 4; 1 being made or removed"),
        "Failed workspaces": (1, "could not be made"),
        "Idle workspaces": (1, "not used for 7 days"),
    }
    for figure in figures(now=NOW):
        assert browser.get(figure.path).context["cl"].result_count == figure.value


def test_the_chart_shows_what_was_made_failed_and_destroyed_on_each_day(db):
    for action, back in (("created", 0), ("created", 2), ("failed", 2), ("destroyed", 13), ("destroyed", 14)):
        AuditEvent.objects.create(at=NOW - back * DAY, action=f"machine.{action}")
    chart = machines_by_day(now=NOW)
    assert chart.sentence == "2 workspaces made, 1 failed and 1 destroyed in the last 14 days."
    assert "Workspaces by day" in browser_of(make_operator("second")).get("/admin/").content.decode()


def test_the_chart_shows_machines_by_state_as_they_were_last_counted_each_day(alice, bob):
    assert machines_by_state(now=NOW).sentence == (
        "Workspaces today: 0 running, 0 stopped, 0 being made or removed and 0 failed."
    )
    make_in("stopped", alice, "one")
    for back, word in ((14, "started"), (1, "started"), (0, "stopped")):
        Machine.objects.update(fly_state=word)
        filters.count_states(now=NOW - back * DAY)
    for number, state in enumerate([State.READY, State.CREATING, State.DESTROYING, State.UNDOING, State.FAILED]):
        make_in("started", bob, f"machine-{number}", state=state)
    filters.count_states(now=NOW)

    chart = machines_by_state(now=NOW)
    assert chart.sentence == "Workspaces today: 1 running, 1 stopped, 2 being made or removed and 2 failed."
    shown = {each["label"]: each["data"][-2:] for each in json.loads(chart.data)["datasets"]}
    assert shown == {"Running": [1, 1], "Stopped": [0, 1], "Being made or removed": [0, 2], "Failed": [0, 2]}
    assert all(len(each["data"]) == 14 for each in json.loads(chart.data)["datasets"])
    assert "Workspaces by state" in browser_of(make_operator("second")).get("/admin/").content.decode()


def test_what_fly_says_is_written_down_for_machines_that_are_ready(alice, sandbox):
    studio = make_machine(alice, "studio", sandbox=sandbox)
    gone = make_in("started", alice, "gone")
    failed = make_machine(alice, "failed", state=State.FAILED)
    sandbox.fly_machine(studio.fly_machine_id, state="stopped")
    assert fly_states.note_states() == 2
    assert fly_states.note_states() == 0
    words = dict(Machine.objects.values_list("pk", "fly_state"))
    assert words == {studio.pk: "stopped", gone.pk: "unknown", failed.pk: ""}


def test_fly_is_not_asked_of_machines_when_none_is_ready(alice, sandbox):
    make_machine(alice, "failed", state=State.FAILED)
    assert fly_states.note_states() == 0
    assert sandbox.requests("fly") == []


def test_without_a_token_for_fly_nothing_is_asked_nor_warned_of(alice, settings, caplog):
    make_machine(alice, "studio", fly_state="started")
    settings.FLY_API_TOKEN = ""
    assert fly_states.note_states() == 0
    assert caplog.text == ""


def test_while_fly_cannot_be_asked_its_last_word_stays(alice, sandbox):
    make_machine(alice, "studio", sandbox=sandbox)
    sandbox.faults(target="fly", status=503)
    assert fly_states.note_states() == 0
    assert Machine.objects.get().fly_state == "started"
