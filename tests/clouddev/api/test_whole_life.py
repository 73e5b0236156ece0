"""The life of one machine, told over the API, while a worker does what is asked for."""

import pytest

from clouddev.models import Machine
from clouddev.services import provisioning
from fly.models import FlyApp
from tests.clouddev.api.expectations import said

pytestmark = pytest.mark.django_db(transaction=True)
STUDIO = {"appName": "studio"}
BROUGHT = {
    "DATABASE_URL": "postgresql://127.0.0.1/own",
    "CREDENTIALS": '{\n  "key": "not-a-secret"\n}\n',
    # What a machine trusts is the server's to say.
    "DEV_UI_JWT_PUBLIC_KEY": "theirs",
    "SSH_PUBLIC_KEY": "theirs",
    "DEV_USER": "root",
    "APP_NAME": "other",
    "CRAYON_SERVER_URL": "https://evil.example",
}


@pytest.fixture(autouse=True)
def _no_data_database(settings, sandbox):
    settings.DATABASE_DATA_URL = ""
    sandbox.fly_clock(factor=1_000_000)


def ask(api, name, **body):
    return said(api.post(f"/api/cloud-dev/{name}", {**STUDIO, **body}))


def look(api, name, **query):
    return said(api.get(f"/api/cloud-dev/{name}", **query))


def status(api):
    return look(api, "status", **STUDIO)[1]["data"]["status"]


def test_a_machine_is_created_used_and_destroyed(alice_api, sandbox, settings):
    created = ask(alice_api, "create", envVars=BROUGHT)[1]["data"]
    assert look(alice_api, "status", **STUDIO) == (
        200,
        {"data": {"status": "creating", "url": created["appUrl"], "message": "Waiting for a worker…"}},
    )
    machine = Machine.objects.get()

    provisioning.work(machine.pk)

    assert look(alice_api, "status", **STUDIO) == (200, {"data": {"status": "running", "url": created["appUrl"]}})
    assert look(alice_api, "list")[1]["data"][0]["fly_state"] == "started"
    secrets = sandbox.state()["fly"]["secrets"][created["flyAppName"]]
    assert {name for name, value in secrets.items() if value == BROUGHT.get(name)} == {"DATABASE_URL", "CREDENTIALS"}
    assert secrets.keys() == BROUGHT.keys()
    assert secrets["CRAYON_SERVER_URL"] == settings.PUBLIC_URL
    machine.refresh_from_db()
    assert machine.sealed_environment is None
    key = look(alice_api, "ssh-key", **STUDIO)[1]["data"]
    assert (key["privateKey"], key["linuxUser"]) == (created["sshPrivateKey"], secrets["DEV_USER"])

    assert ask(alice_api, "stop") == (200, {"data": {"status": "stopped"}})
    assert status(alice_api) == "stopped"
    assert ask(alice_api, "start") == (200, {"data": {"status": "starting", "started": 1}})
    assert status(alice_api) == "running"

    assert ask(alice_api, "destroy") == (200, {"data": {"status": "destroyed"}})
    assert status(alice_api) == "destroying"
    provisioning.work(machine.pk)
    assert status(alice_api) == "not_found"
    assert (Machine.objects.count(), FlyApp.objects.get().state) == (0, FlyApp.State.GONE)
    assert sandbox.state()["fly"]["apps"] == {}


def test_what_fly_refuses_is_undone_told_in_a_sentence_and_can_be_tried_anew(alice_api, sandbox):
    for region in ("iad", "ewr", "yyz", "ord"):
        sandbox.fly_room(region, machines=0)
    first = ask(alice_api, "create", envVars=BROUGHT)[1]["data"]
    machine = Machine.objects.get()

    provisioning.work(machine.pk)

    told = look(alice_api, "status", **STUDIO)[1]["data"]
    sentence = "Fly has no room for the workspace right now, neither in iad, ewr, yyz nor ord. Try again later."
    assert told == {"status": "error", "url": first["appUrl"], "error": sentence}
    assert look(alice_api, "list")[1]["data"][0]["fly_state"] == "error"
    assert sandbox.state()["fly"]["apps"] == {}

    sandbox.fly_room("iad", machines=None)
    second = ask(alice_api, "create", envVars=BROUGHT)[1]["data"]
    assert not set(first.values()) & set(second.values())
    provisioning.work(machine.pk)
    assert status(alice_api) == "running"
