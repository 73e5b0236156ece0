"""What `mcp-token` and `webhook-token` answer, at the machine: it verifies them with the secrets that it was given."""

import time

import pytest

from clouddev.models import Machine
from clouddev.services import provisioning
from tests.clouddev.builders import add_member
from tests.clouddev.node_runner import verified

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_node_packages]
DAY = 24 * 3600
STUDIO = {"appName": "studio"}


@pytest.fixture
def given(alice_api, sandbox):
    """alice's machine as the API makes it: its name at Fly and the secrets that it has there."""
    sandbox.fly_clock(factor=1_000_000)
    own = {"DATABASE_URL": "postgresql://127.0.0.1/own"}
    name = alice_api.post("/api/cloud-dev/create", {**STUDIO, "envVars": own}).json()["data"]["flyAppName"]
    provisioning.work(Machine.objects.get().pk)
    return name, sandbox.state()["fly"]["secrets"][name]


def test_the_machine_lets_a_token_of_the_api_in_for_a_day(alice_api, alice, given):
    name, secrets = given
    token = alice_api.get("/api/cloud-dev/mcp-token", **STUDIO).json()["data"]["token"]
    now, key = int(time.time()), secrets["DEV_UI_JWT_PUBLIC_KEY"]

    told = verified(token, public_key=key, app=name, now=now)

    claims = told["claims"]
    assert (told["isGood"], told["kid"]) == (True, True)
    assert (claims["sub"], claims["login"]) == (str(alice.pk), secrets["DEV_USER"])
    assert verified(token, public_key=key, app=name, now=claims["exp"] - 1)["isGood"]
    assert not verified(token, public_key=key, app=name, now=now + DAY)["isGood"]
    assert not verified(token, public_key=key, app="crayon-dev-00000000", now=now)["isGood"]
    head, body, signature = token.split(".")
    other = alice_api.post("/api/cloud-dev/webhook-token", STUDIO).json()["data"]["token"].split(".")[1]
    assert body != other
    assert not verified(f"{head}.{other}.{signature}", public_key=key, app=name, now=now)["isGood"]


def test_the_machine_lets_a_members_webhook_token_in_as_long_as_it_lasts(bob_api, bob, given):
    name, secrets = given
    add_member(Machine.objects.get(), bob)
    token = bob_api.post("/api/cloud-dev/webhook-token", {**STUDIO, "expiresIn": "7d"}).json()["data"]["token"]
    now, key = int(time.time()), secrets["DEV_UI_JWT_PUBLIC_KEY"]

    told = verified(token, public_key=key, app=name, now=now + 6 * DAY)

    assert (told["isGood"], told["claims"]["sub"], told["claims"]["use"]) == (True, str(bob.pk), "webhook")
    assert not verified(token, public_key=key, app=name, now=now + 7 * DAY)["isGood"]
