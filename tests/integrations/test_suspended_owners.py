"""A link to connect an account works for half an hour; what is made with it after a suspension is nobody's."""

import pytest
from django.core.management import call_command

from accounts.services import users
from integrations.models import Connection
from tests.integrations.conftest import event

pytestmark = pytest.mark.django_db


@pytest.fixture
def made_while_suspended(alice, alice_api, sandbox):
    """The id of a connection that was made with alice's link just after her suspension."""
    alice_api.post("/api/nango/connect-session", {"integration_id": "acme"})
    users.suspend(user=alice, by=None)
    sandbox.press_connect(api_key="not-a-secret")
    (held,) = sandbox.state()["nango"]["connections"].values()
    return held["connection_id"]


def test_neither_the_webhook_nor_the_reconciliation_records_it(alice, alice_api, made_while_suspended, send):
    assert send(event(alice, connectionId=made_while_suspended)).status_code == 200
    call_command("reconcile_connections")

    assert not Connection.objects.exists()
    assert alice_api.get("/api/credentials/acme", connection_id=made_while_suspended).status_code == 403


def test_it_is_theirs_once_they_are_let_in_again(alice, alice_api, made_while_suspended, send):
    send(event(alice, connectionId=made_while_suspended))
    users.restore(user=alice, by=None)

    (listed,) = alice_api.get("/api/integrations/acme/connections").json()["data"]
    assert listed["connection_id"] == made_while_suspended
    assert Connection.objects.get().owner == alice
