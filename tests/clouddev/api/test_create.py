"""POST /api/cloud-dev/create: address and key at once, and a worker is told; whatever is asked at once makes one."""

import logging
import subprocess

import orjson
import pytest
from django.db import connection

from accounts.models import AuditEvent
from clouddev.models import Machine, Member
from clouddev.names import database_name_of, is_fly_name, linux_user_of
from clouddev.services import admission, creation, destruction
from fly.models import FlyApp
from tests.clouddev.api.expectations import BAD_NAMES, SUSPENDED, jobs_of, said
from tests.clouddev.builders import PAIR, make_machine
from tests.conftest import APIClient, token_of
from tests.fly.fly_assertions import at_once

PATH = "/api/cloud-dev/create"
STUDIO = {"appName": "studio"}
State = Machine.State
SERVICE_ACCOUNT = '{\n  "type": "service_account",\n  "private_key": "not-a-secret\\n"\n}\n'
pytestmark = pytest.mark.django_db


def wanted(machine):
    """What the worker is going to set of what the caller wants."""
    return orjson.loads(machine.sealed_environment.open())


@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_is_refused(alice_api, sandbox, body, sentence):
    assert said(alice_api.post(PATH, body)) == (400, {"error": sentence})
    assert not Machine.objects.exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ([], "envVars: This must be an object with names and values."),
        ({"A": 1}, "envVars.A: Not a valid string."),
        ({"A": None}, "envVars.A: This field may not be null."),
        ({"A": {"B": "c"}}, "envVars.A: Not a valid string."),
        ({"A": "b\0c"}, "envVars.A: Null characters are not allowed."),
        ({"A": "x" * 65_537}, "envVars.A: The value is larger than 64 KB."),
        ({f"A{number}": "" for number in range(301)}, "envVars: There are more than 300 variables."),
    ],
)
def test_what_cannot_be_set_is_refused(alice_api, sandbox, variables, sentence):
    assert said(alice_api.post(PATH, {**STUDIO, "envVars": variables})) == (400, {"error": sentence})
    assert not Machine.objects.exists()


def test_a_body_without_end_is_refused(alice_api, sandbox):
    answer = alice_api.post(PATH, {**STUDIO, "envVars": {"A": "x" * (1 << 20)}})
    assert said(answer) == (413, {"error": "The request's body is too large."})


def test_without_a_token_nothing_is_made(nobody_api, sandbox):
    assert nobody_api.post(PATH, STUDIO).status_code == 401
    assert not Machine.objects.exists()


def test_a_suspended_person_makes_nothing(alice_api, alice, sandbox):
    alice.is_active = False
    alice.save()
    assert said(alice_api.post(PATH, STUDIO)) == (403, SUSPENDED)
    assert not Machine.objects.exists()


@pytest.mark.parametrize("setting", ["FLY_API_TOKEN", "DEV_UI_JWT_PRIVATE_KEY"])
def test_a_server_that_cannot_make_machines_names_the_setting(alice_api, sandbox, settings, setting):
    setattr(settings, setting, "")
    answer = alice_api.post(PATH, STUDIO)
    assert (answer.status_code, setting in answer.json()["error"]) == (503, True)
    assert not Machine.objects.exists()


@pytest.mark.parametrize("variables", [{}, {"DATABASE_URL": ""}])
def test_without_a_data_database_the_caller_has_to_bring_one(alice_api, sandbox, settings, variables):
    settings.DATABASE_DATA_URL = ""
    sentence = "envVars: Give a DATABASE_URL; this server has no database for workspaces."
    assert said(alice_api.post(PATH, {**STUDIO, "envVars": variables})) == (400, {"error": sentence})
    brought = {**STUDIO, "envVars": {"DATABASE_URL": "postgresql://127.0.0.1/own"}}
    assert alice_api.post(PATH, brought).status_code == 200
    assert Machine.objects.get().database_schema == ""


def test_address_name_and_key_are_answered_at_once_and_fly_is_not_asked(alice_api, alice, sandbox, tmp_path):
    answer = alice_api.post(PATH, STUDIO)
    machine = Machine.objects.get()
    key = machine.sealed_ssh_key.open().decode()
    told = {"appUrl": machine.url, "flyAppName": machine.fly_app_id, "sshPrivateKey": key}
    assert said(answer) == (200, {"data": told})
    assert answer["Cache-Control"] == "no-store"
    assert is_fly_name(machine.fly_app_id)
    assert (machine.owner_id, machine.organization, machine.app_name) == (
        alice.pk,
        alice.personal_organization,
        "studio",
    )
    assert (machine.state, machine.step, machine.error) == (State.CREATING, "Waiting for a worker…", "")
    assert (machine.dev_user, machine.region) == (linux_user_of(alice.pk), "iad")
    assert machine.database_schema == database_name_of(machine.fly_app_id)
    assert machine.fly_app.state == FlyApp.State.INTENDED
    assert sandbox.requests("fly") == []
    assert jobs_of(machine) == 1
    _require_a_pair(key, machine.ssh_public_key, tmp_path)


def _require_a_pair(private, public, folder):
    """ssh-keygen finds the public half in the private one."""
    path = folder / "key"
    path.write_text(private)
    path.chmod(0o600)
    read = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True, timeout=10)
    assert read.stdout.split()[:2] == public.split()[:2]


def test_the_caller_is_its_owner_and_it_is_on_record(alice_api, alice, sandbox):
    alice_api.post(PATH, STUDIO)
    machine, member = Machine.objects.get(), Member.objects.get()
    assert (member.machine, member.user, member.role) == (machine, alice, Member.Role.OWNER)
    assert member.linux_user == linux_user_of(alice.pk)
    event = AuditEvent.objects.get(action="machine.create_requested")
    assert (event.actor_id, event.target_id) == (alice.pk, str(machine.pk))
    assert event.details == {"app": "studio", "fly_app": machine.fly_app_id, "region": "iad"}


def test_what_is_to_be_set_is_kept_sealed_many_lines_and_all(alice_api, sandbox):
    variables = {"GOOGLE_CREDENTIALS": SERVICE_ACCOUNT, "EMPTY": "", "CRAYON_TOKEN": "not-a-secret"}
    alice_api.post(PATH, {**STUDIO, "envVars": variables})
    machine = Machine.objects.get()
    assert wanted(machine) == variables
    assert b"not-a-secret" not in bytes(machine.sealed_environment)


def test_what_the_platform_says_is_not_the_callers_to_say(alice_api, sandbox):
    alice_api.post(PATH, {**STUDIO, "envVars": {"PORT": "1", "FLY_APP_NAME": "other", "MINE": "1"}})
    assert wanted(Machine.objects.get()) == {"MINE": "1"}


@pytest.mark.parametrize("variables", [None, {}])
def test_nothing_needs_to_be_set(alice_api, sandbox, variables):
    assert alice_api.post(PATH, {**STUDIO, "envVars": variables}).status_code == 200
    assert wanted(Machine.objects.get()) == {}


@pytest.mark.parametrize(
    ("header", "region"),
    [("fra", "fra"), ("", "iad"), ("xxx", "iad"), ("FRA", "iad"), ("eu", "iad"), ("fra; drop table", "iad")],
)
def test_the_region_is_the_callers_when_there_is_such_a_one(alice_api, sandbox, header, region):
    alice_api.post(PATH, STUDIO, headers={"Fly-Region": header})
    assert Machine.objects.get().region == region


def test_a_second_call_answers_the_same_machine_and_makes_nothing(alice_api, sandbox, settings):
    first = alice_api.post(PATH, STUDIO)
    # Not even what a new one would need.
    settings.FLY_API_TOKEN = settings.DATABASE_DATA_URL = ""
    second = alice_api.post(PATH, {**STUDIO, "envVars": {"A": "b"}})
    assert said(second) == said(first)
    assert (Machine.objects.count(), FlyApp.objects.count()) == (1, 1)
    assert wanted(Machine.objects.get()) == {}
    assert AuditEvent.objects.filter(action="machine.create_requested").count() == 1


def test_a_member_gets_the_one_that_is_shared_with_them_and_is_told(bob_api, bob, studio, sandbox):
    message = (
        "“studio” is alice's workspace, which is shared with you, so no other was made. To create one of your own of "
        "this name, send `own` as true."
    )
    told = {"appUrl": studio.url, "flyAppName": studio.fly_app_id, "sshPrivateKey": PAIR.private, "message": message}
    assert said(bob_api.post(PATH, STUDIO)) == said(bob_api.post(PATH, STUDIO)) == (200, {"data": told})
    assert Machine.objects.count() == 1
    assert AuditEvent.objects.filter(action="ssh_key.fetched", actor_id=bob.pk).count() == 2


def test_a_member_who_wants_their_own_gets_it_and_means_it_from_then_on(bob_api, studio, sandbox):
    told = bob_api.post(PATH, {**STUDIO, "own": True}).json()["data"]
    assert (told["appUrl"] != studio.url, "message" in told) == (True, False)
    assert bob_api.post(PATH, STUDIO).json()["data"]["appUrl"] == told["appUrl"]
    assert Machine.objects.count() == 2


def test_a_stranger_gets_their_own(charlie_api, studio, sandbox):
    assert charlie_api.post(PATH, STUDIO).json()["data"]["appUrl"] != studio.url


@pytest.mark.parametrize("state", [State.FAILED, State.UNDOING, State.DESTROYING])
def test_a_shared_one_that_is_not_there_is_in_nobodys_way(bob_api, studio, sandbox, state):
    Machine.objects.update(state=state)
    assert bob_api.post(PATH, STUDIO).json()["data"]["appUrl"] != studio.url


def test_own_is_true_or_false(alice_api, sandbox):
    assert said(alice_api.post(PATH, {**STUDIO, "own": "maybe"})) == (
        400,
        {"error": "own: This must be true or false."},
    )


@pytest.mark.parametrize("state", [State.UNDOING, State.DESTROYING])
def test_one_that_is_on_its_way_out_has_to_be_gone_first(alice_api, alice, sandbox, state):
    make_machine(alice, "studio", state=state)
    sentence = "The workspace of this name is being removed. Please try again in a minute."
    assert said(alice_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    assert Machine.objects.get().state == state


def test_after_a_failure_it_is_tried_anew_under_another_name_with_other_keys(alice_api, alice, bob, sandbox):
    failed = make_machine(alice, "studio", state=State.FAILED, error="No room.", attempt=6, volume_id="", region="fra")
    answer = alice_api.post(PATH, {**STUDIO, "envVars": {"A": "b"}}).json()["data"]
    machine = Machine.objects.get()
    assert machine.pk == failed.pk
    assert (machine.state, machine.error, machine.attempts_before, machine.region) == (State.CREATING, "", 6, "iad")
    assert machine.fly_app_id != failed.fly_app_id
    assert machine.ssh_public_key != failed.ssh_public_key
    assert answer["flyAppName"] == machine.fly_app_id
    assert answer["sshPrivateKey"] == machine.sealed_ssh_key.open().decode() != failed.sealed_ssh_key.open().decode()
    assert machine.database_schema == database_name_of(machine.fly_app_id)
    assert wanted(machine) == {"A": "b"}
    assert jobs_of(machine) == 1


def test_a_person_has_a_quota_and_is_told_what_to_destroy(alice_api, alice, sandbox, settings):
    settings.MACHINES_PER_PERSON = 2
    make_machine(alice, "one")
    make_machine(alice, "failed", state=State.FAILED)
    make_machine(alice, "two", last_active_at="2020-01-01T00:00:00Z")
    sentence = (
        "You have 2 workspaces, which is the most you may have. Destroy one that you no longer need and try again; "
        "“two” has been idle the longest."
    )
    assert said(alice_api.post(PATH, STUDIO)) == (409, {"error": sentence})
    assert said(alice_api.post(PATH, {"appName": "failed"})) == (409, {"error": sentence})
    assert alice_api.post(PATH, {"appName": "one"}).status_code == 200


def test_an_organization_has_a_quota(alice_api, alice, bob, sandbox, settings):
    settings.MACHINES_PER_ORGANIZATION = 1
    make_machine(bob, "bobs", organization=alice.personal_organization)
    sentence = (
        "Your organization has 1 workspace, which is the most it may have. Destroy one that nobody needs and try again."
    )
    assert said(alice_api.post(PATH, STUDIO)) == (409, {"error": sentence})


def test_asking_without_end_is_limited(alice_api, alice, sandbox):
    for _ in range(30):
        admission.CREATIONS.spend(str(alice.pk))
    answer = alice_api.post(PATH, STUDIO)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


def test_no_secret_is_shown_by_logs_records_or_reprs(alice_api, alice, sandbox, caplog):
    caplog.set_level(logging.DEBUG)
    answer = alice_api.post(PATH, {**STUDIO, "envVars": {"A": "hush-hush"}}).json()["data"]
    machine = Machine.objects.get()
    created = creation.Created(machine, answer["sshPrivateKey"])
    shown = [caplog.text, repr(created), repr(machine), str(machine), str(list(AuditEvent.objects.values()))]
    key = answer["sshPrivateKey"].splitlines()[2]
    assert [text for text in shown if "hush-hush" in text or key in text or "PRIVATE KEY" in text] == []


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_make_one_machine(alice, sandbox):
    token = token_of(alice)
    answers = at_once(6, lambda _: APIClient(token).post(PATH, STUDIO))
    assert {said(answer)[0] for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (Machine.objects.count(), FlyApp.objects.count(), Member.objects.count()) == (1, 1, 1)
    assert jobs_of(Machine.objects.get()) == 1


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_do_not_pass_a_quota(alice, sandbox, settings):
    settings.MACHINES_PER_PERSON = 2
    token = token_of(alice)
    answers = at_once(6, lambda number: APIClient(token).post(PATH, {"appName": f"studio-{number}"}))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409, 409]
    assert (Machine.objects.count(), FlyApp.objects.count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_creating_anew_and_destroying_at_once_leaves_one_of_the_two(alice, sandbox):
    machine = make_machine(alice, "studio", state=State.FAILED)
    token = token_of(alice)

    def act(number):
        if number:
            return APIClient(token).post(PATH, STUDIO).status_code
        destruction.destroy(machine=machine, actor=alice)
        connection.close()
        return 200

    outcomes = at_once(2, act)
    assert outcomes[0] == 200
    assert (outcomes[1], Machine.objects.get().state) in {(200, State.DESTROYING), (409, State.DESTROYING)}


def test_an_odd_name_in_the_environment_is_left_out_and_told(alice_api, sandbox):
    answer = alice_api.post(PATH, {**STUDIO, "envVars": {"A=B": "not-a-secret", "DATABASE_URL": "postgres://x/y"}})
    assert answer.json()["data"]["message"].startswith("Left out of the environment: A=B. ")
    assert wanted(Machine.objects.get()) == {"DATABASE_URL": "postgres://x/y"}


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "BASH_FUNC_ls",
        "BASH_ENV",
        "GLIBC_TUNABLES",
        "SHELLOPTS",
        "PATH",
        "PYTHONPATH",
        "IFS",
    ],
)
def test_what_the_machines_own_start_would_obey_is_left_out_and_told(alice_api, sandbox, name):
    variables = {
        name: "/data/x.so",
        "DATABASE_URL": "postgres://x/y",
        "LDAP": "kept",
        "NODE_OPTIONS": "--trace-warnings",
    }
    answer = alice_api.post(PATH, {**STUDIO, "envVars": variables})
    assert answer.json()["data"]["message"] == (
        f"Left out of the environment: {name}. They would change how it starts. "
        "Set them where your programs are started."
    )
    del variables[name]
    assert wanted(Machine.objects.get()) == variables
