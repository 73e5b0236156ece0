"""Machines whose key is not configured any more."""

import base64

import pytest

from clouddev.models.machines import KeyLost
from clouddev.services import provisioning
from tests.clouddev.api.expectations import said
from tests.clouddev.builders import make_machine
from tests.conftest import APIClient, token_of

OTHER_KEY = f"2:{base64.b64encode(bytes(32)).decode()}"
LOST = {"error": KeyLost.default}


@pytest.mark.django_db
def test_without_its_key_a_machine_is_not_opened_and_the_person_is_told_what_to_do(alice, sandbox, settings):
    make_machine(alice, "studio")
    settings.ENCRYPTION_KEYS = OTHER_KEY
    api = APIClient(token_of(alice))
    assert said(api.get("/api/cloud-dev/ssh-key", appName="studio")) == (503, LOST)
    assert said(api.post("/api/cloud-dev/create", {"appName": "studio"})) == (503, LOST)
    assert api.get("/api/cloud-dev/list").status_code == 200
    assert api.post("/api/cloud-dev/destroy", {"appName": "studio"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_one_that_is_being_made_is_undone_with_that_sentence(workshop, alice, settings):
    machine = workshop.order(alice)
    settings.ENCRYPTION_KEYS = OTHER_KEY
    provisioning.work(machine.pk)
    assert workshop.require_failed(alice) == KeyLost.default
    workshop.require_whole(workshop.make(alice))
