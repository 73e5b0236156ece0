"""POST /api/cloud-dev/try-again: a machine that failed is begun anew as it was wanted, once, for whoever decides."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, Organization, User
from clouddev.models import Machine, Member
from clouddev.names import database_name_of
from clouddev.services import admission, destruction, kept_env
from clouddev.services.retry import NoDatabaseLeft, VariablesErased
from fly.models import FlyApp
from tests.clouddev.api.expectations import BAD_NAMES, NO_MACHINE, jobs_of, said
from tests.clouddev.builders import add_member, make_failed, make_machine
from tests.conftest import APIClient, token_of
from tests.fly.fly_assertions import at_once

PATH = "/api/cloud-dev/try-again"
STUDIO = {"appName": "studio"}
State = Machine.State
ERASED = {"error": VariablesErased.default}
pytestmark = pytest.mark.django_db


def begun(machine, *, anew=True):
    told = {"status": "creating", "begun": anew, "appUrl": machine.url, "flyAppName": machine.fly_app_id}
    return (200, {"data": told})


def require_untouched(machine):
    """It has failed as before, and nobody was told to make it."""
    before = vars(machine).items()
    after = vars(Machine.objects.get(pk=machine.pk))
    assert {name for name, value in before if name != "_state" and after[name] != value} == set()
    assert jobs_of(machine) == 0
    assert not AuditEvent.objects.filter(action="machine.create_requested").exists()


@pytest.fixture
def failed(alice):
    return Machine.objects.get(pk=make_failed(alice).pk)


@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_is_refused(alice_api, body, sentence):
    assert said(alice_api.post(PATH, body)) == (400, {"error": sentence})


def test_it_is_there_for_its_owners_alone(alice, failed, bob, bob_api, charlie_api, nobody_api):
    add_member(failed, bob)
    assert said(bob_api.post(PATH, STUDIO)) == said(charlie_api.post(PATH, STUDIO)) == (404, NO_MACHINE)
    assert nobody_api.post(PATH, STUDIO).status_code == 401
    require_untouched(failed)


def test_it_is_begun_anew_with_its_variables_under_another_name_with_other_keys(alice_api, alice, failed, sandbox):
    answer = alice_api.post(PATH, STUDIO)
    machine = Machine.objects.get()
    assert said(answer) == begun(machine)
    assert (machine.pk, machine.state, machine.error) == (failed.pk, State.CREATING, "")
    assert (machine.step, machine.attempts_before, machine.heartbeat_at) == ("Waiting for a worker…", 1, None)
    assert machine.sealed_environment.open() == b'{"A": "not-a-secret"}'
    assert machine.variables_kept_until is None
    assert machine.fly_app_id != failed.fly_app_id
    assert machine.fly_app.state == FlyApp.State.INTENDED
    assert machine.database_schema == database_name_of(machine.fly_app_id)
    assert machine.ssh_public_key != failed.ssh_public_key
    assert jobs_of(machine) == 1
    assert sandbox.requests("fly") == []
    event = AuditEvent.objects.get(action="machine.create_requested")
    assert (event.actor_id, event.target_id) == (alice.pk, str(machine.pk))
    assert event.details == {"app": "studio", "fly_app": machine.fly_app_id, "region": "iad"}


def test_who_brought_a_database_is_given_none(alice_api, alice, sandbox, settings):
    make_failed(alice, database_schema="")
    settings.DATABASE_DATA_URL = ""
    assert alice_api.post(PATH, STUDIO).status_code == 200
    assert Machine.objects.get().database_schema == ""


@pytest.mark.parametrize("kept_for", [timedelta(0), timedelta(minutes=-1)])
def test_after_an_hour_it_has_to_be_created_anew_though_nobody_has_erased_anything(alice_api, alice, sandbox, kept_for):
    machine = Machine.objects.get(pk=make_failed(alice, kept_for=kept_for).pk)
    assert said(alice_api.post(PATH, STUDIO)) == (409, ERASED)
    require_untouched(machine)
    kept_env.forget_over(now=timezone.now())
    assert said(alice_api.post(PATH, STUDIO)) == (409, ERASED)
    assert alice_api.post("/api/cloud-dev/create", STUDIO).status_code == 200


def test_what_is_not_known_of_the_variables_counts_as_erased(alice_api, alice, sandbox):
    """As a machine is that failed before they were kept, and one whose time is noted without them."""
    make_machine(alice, "studio", state=State.FAILED)
    assert said(alice_api.post(PATH, STUDIO)) == (409, ERASED)
    Machine.objects.update(variables_kept_until=timezone.now() + timedelta(minutes=30))
    assert said(alice_api.post(PATH, STUDIO)) == (409, ERASED)


def test_without_variables_it_can_be_tried_again_whenever(alice_api, alice, sandbox):
    make_machine(alice, "studio", state=State.FAILED, had_variables=False)
    assert said(alice_api.post(PATH, STUDIO)) == begun(Machine.objects.get())


@pytest.mark.parametrize("given", [None, {}, {"PORT": "1"}, {"A": ""}])
def test_creating_one_notes_whether_it_has_variables(alice_api, sandbox, given):
    alice_api.post("/api/cloud-dev/create", {**STUDIO, "envVars": given})
    assert Machine.objects.get().had_variables is (given == {"A": ""})


@pytest.mark.parametrize("state", [State.UNDOING, State.DESTROYING])
def test_what_is_left_of_it_has_to_be_gone_first(alice_api, failed, sandbox, state):
    Machine.objects.update(state=state, **kept_env.ERASED)
    sentence = "The workspace of this name is being removed. Please try again in a minute."
    assert said(alice_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    assert jobs_of(failed) == 0


@pytest.mark.parametrize("state", [State.CREATING, State.READY])
def test_one_that_is_being_made_or_is_there_is_left_as_it_is(alice_api, failed, sandbox, state):
    Machine.objects.update(state=state, ready_at=timezone.now(), **kept_env.ERASED)
    assert said(alice_api.post(PATH, STUDIO)) == begun(failed, anew=False)
    assert jobs_of(failed) == 0
    assert not AuditEvent.objects.filter(action="machine.create_requested").exists()


@pytest.mark.parametrize("setting", ["FLY_API_TOKEN", "DEV_UI_JWT_PRIVATE_KEY"])
def test_a_server_that_cannot_make_machines_names_the_setting(alice_api, failed, sandbox, settings, setting):
    setattr(settings, setting, "")
    answer = alice_api.post(PATH, STUDIO)
    assert (answer.status_code, setting in answer.json()["error"]) == (503, True)
    require_untouched(failed)


def test_a_server_that_has_lost_its_data_database_says_so(alice_api, failed, sandbox, settings):
    settings.DATABASE_DATA_URL = ""
    assert said(alice_api.post(PATH, STUDIO)) == (503, {"error": NoDatabaseLeft.default})
    require_untouched(failed)


def test_quotas_hold_as_when_it_was_created(alice_api, alice, failed, sandbox, settings):
    settings.MACHINES_PER_PERSON = 1
    make_machine(alice, "blog")
    sentence = (
        "You have 1 workspace, which is the most you may have. Destroy one that you no longer need and try again; "
        "“blog” has been idle the longest."
    )
    assert said(alice_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    require_untouched(failed)


def test_an_owner_by_role_is_told_whose_quota_is_full(bob_api, alice, bob, failed, sandbox, settings):
    settings.MACHINES_PER_PERSON = settings.MACHINES_PER_ORGANIZATION = 1
    add_member(failed, bob, Member.Role.OWNER)
    blog = make_machine(alice, "blog")
    sentence = (
        "alice has 1 workspace, which is the most they may have. Ask them to destroy one that they no longer need and "
        "try again."
    )
    assert said(bob_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    Machine.objects.filter(pk=blog.pk).update(owner=bob)
    sentence = (
        "Its organization has 1 workspace, which is the most it may have. Destroy one that nobody needs and try again."
    )
    assert said(bob_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    require_untouched(failed)


def test_creating_one_anew_counts_where_it_is_and_not_where_the_caller_is(alice_api, alice, bob, sandbox, settings):
    settings.MACHINES_PER_ORGANIZATION = 1
    elsewhere = Organization.objects.create(slug="elsewhere", name="Elsewhere")
    make_machine(bob, "blog", organization=elsewhere)
    make_failed(alice, organization=elsewhere)
    assert alice_api.post("/api/cloud-dev/create", STUDIO).status_code == 409
    make_machine(bob, "shop", organization=alice.personal_organization)
    Machine.objects.filter(app_name="blog").delete()
    assert alice_api.post("/api/cloud-dev/create", STUDIO).status_code == 200
    assert AuditEvent.objects.get(action="machine.create_requested").organization_id == elsewhere.pk


def test_variables_of_a_suspended_person_are_of_use_to_nobody(bob_api, bob, failed, sandbox):
    add_member(failed, bob, Member.Role.OWNER)
    # As one that failed in the moment in which its owner was suspended.
    User.objects.filter(pk=failed.owner_id).update(is_active=False)
    assert said(bob_api.post(PATH, STUDIO)) == (409, ERASED)


def test_asking_without_end_is_limited(alice_api, alice, failed, sandbox):
    for _ in range(30):
        admission.CREATIONS.spend(str(alice.pk))
    assert alice_api.post(PATH, STUDIO).status_code == 429
    require_untouched(failed)


def test_destroying_it_erases_what_was_kept(alice_api, alice, failed, sandbox):
    destruction.destroy(machine=failed, actor=alice)
    machine = Machine.objects.get()
    assert (machine.sealed_environment, machine.variables_kept_until) == (None, None)


def test_erasing_what_is_over_leaves_the_rest(alice, failed):
    over = make_failed(alice, "over", kept_for=timedelta(0))
    making = make_failed(alice, "making", kept_for=timedelta(0))
    Machine.objects.filter(pk=making.pk).update(state=State.CREATING, variables_kept_until=None)
    assert kept_env.forget_over(now=timezone.now()) == 1
    assert set(Machine.objects.filter(sealed_environment=None)) == {over}


def test_what_failed_in_the_moment_in_which_its_owner_was_suspended_is_erased_within_the_minute(bob, failed):
    """The failure saw the owner as they were before, and suspending them saw no failure yet."""
    theirs = make_failed(bob, "blog")
    User.objects.filter(pk=failed.owner_id).update(is_active=False)
    assert kept_env.forget_over(now=timezone.now()) == 1
    failed.refresh_from_db()
    assert (failed.sealed_environment, failed.variables_kept_until) == (None, None)
    assert list(Machine.objects.exclude(sealed_environment=None)) == [theirs]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_begin_it_once(alice, failed, sandbox):
    token = token_of(alice)
    answers = at_once(4, lambda number: APIClient(token).post("/api/cloud-dev/create" if number == 3 else PATH, STUDIO))
    assert [answer.status_code for answer in answers] == [200] * 4
    machine = Machine.objects.get()
    assert {answer.json()["data"]["flyAppName"] for answer in answers} == {machine.fly_app_id}
    assert jobs_of(machine) == 1
    assert AuditEvent.objects.filter(action="machine.create_requested").count() == 1


@pytest.mark.django_db(transaction=True)
def test_trying_again_and_destroying_at_once_ends_destroyed(alice, failed, sandbox):
    token = token_of(alice)

    def act(number):
        if number:
            return APIClient(token).post(PATH, STUDIO).status_code
        destruction.destroy(machine=failed, actor=alice)
        connection.close()
        return 200

    outcomes = at_once(2, act)
    machine = Machine.objects.get()
    assert outcomes in ([200, 200], [200, 409])
    assert (machine.state, machine.sealed_environment) == (State.DESTROYING, None)


@pytest.mark.django_db(transaction=True)
def test_several_at_once_do_not_pass_a_quota(alice, failed, sandbox, settings):
    settings.MACHINES_PER_PERSON = 1
    make_failed(alice, "blog")
    token = token_of(alice)
    answers = at_once(2, lambda number: APIClient(token).post(PATH, {"appName": ["studio", "blog"][number]}))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
