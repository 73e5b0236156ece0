"""manage.py reseal, and machines whose key is gone."""

import base64
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import SigningKey
from clouddev.models import Machine
from clouddev.models.machines import KeyLost
from clouddev.services import provisioning
from core.crypto import keyring
from tests.clouddev.api.expectations import said
from tests.clouddev.builders import PAIR, make_machine
from tests.conftest import APIClient, token_of

State = Machine.State
OLD, NEW = (f"{number}:{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))
LOST = {"error": KeyLost.default}


@pytest.fixture
def studio(db, alice, settings):
    """Made in the time of the old key; it is being made, and has an environment."""
    settings.ENCRYPTION_KEYS = OLD
    SigningKey.objects.all().delete()  # those of the tests' own key
    machine = make_machine(alice, state=State.CREATING)
    machine.sealed_environment = machine.seal("sealed_environment", b'{"A": "b"}')
    machine.save()
    return machine


def reseal():
    out = StringIO()
    call_command("reseal", stdout=out)
    return out.getvalue().split("\n")[:3]


def test_afterwards_the_old_key_can_be_dropped(studio, alice, settings):
    make_machine(alice, "other")
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    assert reseal() == ["resealed: 3", "current: 0", "unreadable: 0"]
    settings.ENCRYPTION_KEYS = NEW
    for machine in Machine.objects.all():
        assert machine.unseal("sealed_ssh_key") == PAIR.private.encode()
    assert Machine.objects.get(pk=studio.pk).unseal("sealed_environment") == b'{"A": "b"}'


def test_a_second_time_nothing_changes(studio, settings):
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    reseal()
    before = list(Machine.objects.values())
    assert reseal() == ["resealed: 0", "current: 2", "unreadable: 0"]
    assert list(Machine.objects.values()) == before


def test_what_no_key_opens_is_told_and_the_rest_is_done(studio, alice, settings):
    settings.ENCRYPTION_KEYS = NEW
    make_machine(alice, "other")
    lost = list(Machine.objects.filter(pk=studio.pk).values())
    out = StringIO()
    with pytest.raises(CommandError, match="must be made anew"):
        call_command("reseal", stdout=out)
    assert out.getvalue() == "resealed: 0\ncurrent: 1\nunreadable: 2\nsigning keys resealed: 0\n"
    assert list(Machine.objects.filter(pk=studio.pk).values()) == lost


def test_what_is_written_meanwhile_stays(studio, settings, monkeypatch):
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    unseal = Machine.unseal

    def slowly(machine, column):
        Machine.objects.filter(pk=machine.pk).update(sealed_environment=None)
        return unseal(machine, column)

    monkeypatch.setattr(Machine, "unseal", slowly)
    assert reseal() == ["resealed: 1", "current: 0", "unreadable: 0"]
    studio.refresh_from_db()
    assert studio.sealed_environment is None
    assert keyring().is_newest(bytes(studio.sealed_ssh_key))


def test_without_its_key_a_machine_is_not_opened_and_the_person_is_told_what_to_do(studio, alice, sandbox, settings):
    settings.ENCRYPTION_KEYS = NEW
    Machine.objects.update(state=State.READY)
    api = APIClient(token_of(alice))
    assert said(api.get("/api/cloud-dev/ssh-key", appName="studio")) == (503, LOST)
    assert said(api.post("/api/cloud-dev/create", {"appName": "studio"})) == (503, LOST)
    assert api.get("/api/cloud-dev/list").status_code == 200
    assert api.post("/api/cloud-dev/destroy", {"appName": "studio"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_one_that_is_being_made_is_undone_with_that_sentence(workshop, alice, settings):
    machine = workshop.order(alice)
    settings.ENCRYPTION_KEYS = NEW
    provisioning.work(machine.pk)
    assert workshop.require_failed(alice) == KeyLost.default
    workshop.require_whole(workshop.make(alice))
