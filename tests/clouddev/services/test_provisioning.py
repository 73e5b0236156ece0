"""Making and removing a machine: what Fly, the data database and our rows have afterwards."""

import pytest
from django.db import OperationalError, connection

from accounts.models import AuditEvent
from clouddev.machine_tokens import Signer
from clouddev.models import Machine, Member
from clouddev.names import linux_user_of
from clouddev.services import provisioning
from clouddev.services.provisioning.lease import take
from fly.clients.machines_api import Fly
from fly.models import FlyApp
from tests.clouddev.builders import make_machine
from tests.clouddev.worker_harness import MULTI_LINE, OWN_DATABASE, at_fly, everything_in_the_database
from tests.fly.deleting import delete_machine
from tests.fly.fly_assertions import apps_at_fly, at_once

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
NO_ROOM = "Fly has no room for the workspace right now, neither in iad, ewr, yyz nor ord. Try again later."


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """What is asked again is asked at once."""
    monkeypatch.setattr("core.leases._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("clouddev.services.provisioning.lease._PAUSE_SECONDS", 0.05)


def test_a_machine_is_ready_with_everything_in_its_place(workshop, alice):
    machine = workshop.require_whole(workshop.make(alice))

    name, app, made, volume, _ = at_fly(workshop)
    assert name == machine.fly_app_id
    assert app["network"] == machine.fly_app.network
    assert app["network"] not in {"", "default", name}
    assert (volume["name"], volume["size_gb"], volume["region"]) == ("app_data", 10, "iad")
    assert (made["name"], made["region"], made["host"]) == ("dev", "iad", volume["host"])
    assert machine.database_host == "127.0.0.1"
    assert machine.ready_at
    assert machine.last_active_at
    actions = list(AuditEvent.objects.order_by("at").values_list("action", flat=True))
    assert actions[-2:] == ["machine.create_requested", "machine.created"]


@pytest.mark.parametrize("is_found", [False, True])
def test_its_size_is_what_it_was_made_with(workshop, alice, settings, is_found):
    machine = workshop.make(alice)
    settings.CLOUD_DEV_CPUS, settings.CLOUD_DEV_MEMORY_MB = 8, 4096
    if is_found:
        Machine.objects.update(state=State.CREATING, cpus=None, memory_mb=None)
        provisioning.work(machine.pk)
    machine.refresh_from_db()
    assert (machine.cpus, machine.memory_mb) == (6, 3072)


def test_the_volume_is_made_where_the_machine_fits_beside_it(workshop, alice):
    """Without the hint, Fly may choose a host that is too small."""
    workshop.sandbox.fly_settings(hintless_volumes_fit=False)
    workshop.require_whole(workshop.make(alice))


def test_the_machine_has_the_shape_of_the_contract(workshop, alice):
    workshop.make(alice)
    config = at_fly(workshop)[2]["config"]
    assert config["guest"] == {"cpu_kind": "shared", "cpus": 6, "memory_mb": 3072}
    assert config["image"] == "registry.fly.io/crayon-cloud-dev-image:latest"
    assert [mount["path"] for mount in config["mounts"]] == ["/data"]
    stops = {"protocol": "tcp", "autostop": "stop", "autostart": True, "min_machines_running": 0}
    assert config["services"] == [
        {
            **stops,
            "internal_port": 4173,
            "ports": [
                {"port": 443, "handlers": ["tls", "http"]},
                {"port": 80, "handlers": ["http"], "force_https": True},
            ],
        },
        {**stops, "internal_port": 2222, "ports": [{"port": 2222, "handlers": []}]},
    ]
    # What `flyctl deploy` marks as its own, it also replaces.
    assert not any(name.startswith("fly_") for name in config["metadata"])


def test_it_gets_exactly_the_secrets_of_the_contract(workshop, alice):
    machine = workshop.make(alice)
    secrets = at_fly(workshop)[4]
    url = secrets.pop("DATABASE_URL")
    assert url.startswith(f"postgresql://{machine.database_schema}:")
    assert secrets == {
        "GOOGLE_CREDENTIALS": MULTI_LINE,
        "CRAYON_TOKEN": "not-a-secret",
        "DATABASE_SCHEMA": machine.fly_app_id.replace("-", "_"),
        "APP_NAME": "studio",
        "DEV_USER": linux_user_of(alice.pk),
        "SSH_PUBLIC_KEY": machine.ssh_public_key,
        "CRAYON_SERVER_URL": "http://localhost",
        "DEV_UI_JWT_PUBLIC_KEY": Signer.from_settings().public_key_pem(escaped=True),
    }
    assert secrets["SSH_PUBLIC_KEY"].startswith("ssh-ed25519 ")
    assert "\n" not in secrets["SSH_PUBLIC_KEY"]


def test_a_machine_of_any_name_is_told_one_that_programs_know(workshop, alice):
    workshop.make(alice, "@acme/My App")
    assert at_fly(workshop)[4]["APP_NAME"] == "acme-my-app"


def test_who_brings_a_database_gets_none_of_ours(workshop, alice, as_superuser):
    machine = workshop.require_whole(workshop.make(alice, environment=OWN_DATABASE))
    secrets = at_fly(workshop)[4]
    assert secrets["DATABASE_URL"] == OWN_DATABASE["DATABASE_URL"]
    assert "DATABASE_SCHEMA" not in secrets
    assert machine.database_schema == ""
    name = machine.fly_app_id.replace("-", "_")
    assert as_superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None


def test_a_caller_can_not_pass_for_the_server(workshop, alice):
    taken = {"APP_NAME": "other", "DEV_USER": "root", "SSH_PUBLIC_KEY": "mine", "DATABASE_SCHEMA": "theirs"}
    machine = workshop.make(alice, environment={**taken, "PORT": "1"})
    secrets = at_fly(workshop)[4]
    assert not set(taken.values()) & set(secrets.values())
    assert "PORT" not in secrets
    assert secrets["DATABASE_SCHEMA"] == machine.database_schema


def test_neither_the_password_nor_the_callers_values_are_anywhere_here(workshop, alice, caplog):
    machine = workshop.order(alice)
    assert b"not-a-secret" not in bytes(machine.sealed_environment)
    provisioning.work(machine.pk)
    password = at_fly(workshop)[4]["DATABASE_URL"].split(":")[2].split("@")[0]

    dump = everything_in_the_database()

    assert password not in dump + caplog.text
    assert "service_account" not in dump + caplog.text
    assert "PRIVATE KEY" not in dump + caplog.text


def test_while_there_is_no_room_it_goes_to_the_nearest_region_that_has_some(workshop, alice):
    workshop.sandbox.fly_room("iad", machines=0)
    workshop.sandbox.fly_room("ewr", volumes=0)
    machine = workshop.require_whole(workshop.make(alice))
    assert machine.region == "yyz"


@pytest.mark.parametrize("room", [{"machines": 0}, {"volumes": 0}, {"quota_mb": 1000}])
def test_a_drought_everywhere_undoes_it_all_and_says_so(workshop, alice, room):
    for region in ("iad", "ewr", "yyz", "ord"):
        workshop.sandbox.fly_room(region, **room)
    workshop.make(alice)
    assert workshop.require_failed(alice) == NO_ROOM

    for region in ("iad", "ewr", "yyz", "ord"):
        workshop.sandbox.fly_room(region, **dict.fromkeys(room))
    before = FlyApp.objects.get()
    machine = workshop.require_whole(workshop.make(alice))
    assert machine.fly_app_id != before.pk
    assert Member.objects.filter(machine=machine).count() == 1


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("POST /v1/apps$", "This server's quota at Fly is used up. Tell its operator."),
        ("POST */ip_assignments", "This server's quota at Fly is used up. Tell its operator."),
        ("POST */volumes", NO_ROOM),
        ("POST */machines", NO_ROOM),
    ],
)
def test_a_used_up_quota_undoes_it_all_and_says_so(workshop, alice, question, sentence):
    workshop.sandbox.faults(
        target="fly", match=question, status=403, body={"error": "You have exceeded your organization's quota"}, times=4
    )
    workshop.make(alice)
    assert workshop.require_failed(alice) == sentence
    workshop.sandbox.clear_faults()
    workshop.require_whole(workshop.make(alice))


def test_a_token_that_fly_refuses_undoes_it_all(workshop, alice):
    machine = workshop.order(alice)
    workshop.sandbox.faults(target="fly", match="POST /v1/apps$", status=401)
    provisioning.work(machine.pk)
    assert "FLY_API_TOKEN" in workshop.require_failed(alice)


def test_a_machine_that_does_not_come_up_is_undone(workshop, alice):
    workshop.sandbox.fly_settings(failing_launches=1)
    workshop.make(alice)
    assert workshop.require_failed(alice) == "The workspace did not start at Fly. Create it again."
    workshop.require_whole(workshop.make(alice))


@pytest.mark.parametrize(
    "lag",
    [
        {"app_lag_reads": 3},
        {"app_lag_reads": 3, "app_lag_status": 401},
        {"machine_lag_reads": 4},
        {"machine_lag_seconds": 1},
        {"volume_lag_reads": 3},
        {"secrets_lag_seconds": 1},
    ],
    ids=str,
)
def test_what_fly_does_not_see_at_once_is_waited_for(workshop, alice, lag):
    workshop.sandbox.fly_settings(**lag)
    workshop.require_whole(workshop.make(alice))


@pytest.mark.parametrize("lag", [{}, {"machine_lag_reads": 3}], ids=str)
def test_a_machine_whose_answer_was_lost_stays_the_only_one(workshop, alice, lag):
    workshop.sandbox.fly_settings(**lag)
    workshop.sandbox.faults(target="fly", match="POST */machines", drop="after")
    workshop.require_whole(workshop.make(alice))


def test_a_volume_whose_answer_was_lost_is_used(workshop, alice):
    workshop.sandbox.faults(target="fly", match="POST */volumes", drop="after")
    workshop.require_whole(workshop.make(alice))
    assert [entry["method"] for entry in workshop.sandbox.requests("fly")].count("POST") == 6


def test_a_second_volume_that_came_late_is_deleted(workshop, alice):
    machine = workshop.order(alice)
    workshop.sandbox.faults(target="fly", match="GET */volumes", status=500)
    provisioning.work(machine.pk)
    Machine.objects.update(state=State.CREATING)
    spare = spare_volume(machine, "ewr")
    provisioning.work(machine.pk)
    workshop.require_whole(machine)
    assert spare not in workshop.sandbox.state()["fly"]["volumes"]


def spare_volume(machine, region):
    fly = Fly.from_settings()
    return fly.create_volume(machine.fly_app_id, name="app_data", region=region, size_gb=10, compute={}).id


def test_a_volume_that_a_machine_was_on_is_never_deleted_for_want_of_room(workshop, alice, monkeypatch):
    """Whoever takes the machine away meanwhile, its volume is only ever removed with everything else."""
    machine = workshop.make(alice)
    fly, volume = Fly.from_settings(), machine.volume_id
    delete_machine(fly, machine.fly_app_id, machine.fly_machine_id)
    Machine.objects.update(state=State.CREATING)
    workshop.sandbox.fly_room("iad", machines=0)
    workshop.sandbox.clear_requests()

    provisioning.work(machine.pk)

    deleted = [entry["path"] for entry in workshop.sandbox.requests("fly") if entry["method"] == "DELETE"]
    assert not any(volume in path for path in deleted)
    assert workshop.require_failed(alice) == (
        "Fly has no room for the workspace right now, not in iad. Try again later."
    )


def test_one_that_was_taken_away_while_it_was_made_is_made_again_on_its_volume(workshop, alice):
    machine = workshop.make(alice)
    delete_machine(Fly.from_settings(), machine.fly_app_id, machine.fly_machine_id)
    Machine.objects.update(state=State.CREATING)
    provisioning.work(machine.pk)
    again = workshop.require_whole(machine)
    assert (again.volume_id, again.fly_machine_id == machine.fly_machine_id) == (machine.volume_id, False)


def test_a_stopped_one_is_started(workshop, alice):
    machine = workshop.make(alice)
    workshop.sandbox.fly_machine(machine.fly_machine_id, state="stopped")
    Machine.objects.update(state=State.CREATING)
    provisioning.work(machine.pk)
    workshop.require_whole(machine)


def test_a_name_that_somebody_else_has_at_fly_is_given_up_for_another(workshop, alice, sandbox):
    machine = workshop.order(alice)
    sandbox.add_fly_app(machine.fly_app_id, org_slug="elsewhere")
    provisioning.work(machine.pk)
    machine.refresh_from_db()
    assert (machine.state, machine.error) == (
        State.FAILED,
        "This app can't be made under its name at Fly. Please try again.",
    )
    theirs = machine.fly_app_id
    again = workshop.make(alice)
    assert again.state == State.READY
    assert apps_at_fly(sandbox) == {theirs, again.fly_app_id}


def test_what_was_ordered_meanwhile_is_left_to_others_where_the_database_is_away(alice, monkeypatch):
    machine = make_machine(alice, state=State.CREATING)
    attempt = take(machine.pk)
    Machine.objects.update(state=State.DESTROYING)

    def away(*_arguments):
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        assert attempt.make_way() is False
    assert attempt.make_way() is True


def test_the_steps_are_told_while_it_is_made(workshop, alice, sandbox):
    machine = workshop.order(alice)
    assert workshop.status(alice).message == "Waiting for a worker…"
    seen = set()
    sandbox.faults(target="fly", match="POST *", delay=0.4, times=0)
    sandbox.fly_clock(factor=20)

    def watch():
        while Machine.objects.get(pk=machine.pk).state == State.CREATING:
            seen.add(workshop.status(alice).message)

    at_once(2, lambda number: watch() if number else provisioning.work(machine.pk))
    assert seen >= {
        "Setting up the app…",
        "Setting the secrets…",
        "Making the workspace in iad…",
        "Starting the workspace…",
    }
