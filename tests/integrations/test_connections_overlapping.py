"""Creating and deleting one connection while an earlier attempt is still on its way to Nango."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from integrations.models import Connection
from integrations.services.reconciliation import reconcile_connections
from tests.integrations.conftest import at_nango

pytestmark = pytest.mark.django_db(transaction=True)
TAKEN = {"error": "This connection id is already in use. Choose another one."}


def create(api, key):
    body = {"integration_id": "acme", "connection_id": "main", "credentials": {"apiKey": key}}
    return api.post("/api/connections/create", body)


def delete(api):
    return api.post("/api/connections/delete", {"integration_id": "acme", "connection_id": "main"})


class OnItsWay:
    """An action in another thread whose call is held up at Nango; `answer` waits for its end."""

    def __init__(self, sandbox, match, action):
        sandbox.faults(target="nango", match=match, delay=2)
        self._answers = []
        self._thread = Thread(target=self._run, args=[action])
        self._thread.start()

    def _run(self, action):
        try:
            self._answers.append(action())
        finally:
            connection.close()

    def wait_until(self, condition):
        deadline = timezone.now() + timedelta(seconds=10)
        while not condition():
            assert timezone.now() < deadline
        return self

    def answer(self):
        self._thread.join(timeout=20)
        return self._answers[0]


def held_by_an_attempt():
    return Connection.objects.exclude(claim=None).exists()


def a_minute_passes():
    Connection.objects.exclude(claim=None).update(claimed_at=timezone.now() - timedelta(minutes=2))


def test_a_late_import_never_lands_on_anothers_connection(alice_api, charlie_api, sandbox):
    assert create(alice_api, "first").status_code == 200
    late = OnItsWay(sandbox, "POST /connections", lambda: create(alice_api, "second")).wait_until(held_by_an_attempt)

    assert delete(alice_api).json() == {"ok": True}
    refused = create(charlie_api, "charlies")
    assert (refused.status_code, refused.json()) == (409, TAKEN)
    assert late.answer().status_code == 409

    a_minute_passes()
    reconcile_connections(now=timezone.now())
    assert create(charlie_api, "charlies").status_code == 200
    assert at_nango(sandbox, "main")["credentials"]["apiKey"] == "charlies"


def test_a_late_delete_never_hits_anothers_connection(alice_api, charlie, charlie_api, sandbox):
    assert create(alice_api, "alices").status_code == 200
    late = OnItsWay(sandbox, "DELETE /connections/*", lambda: delete(alice_api)).wait_until(held_by_an_attempt)

    assert delete(alice_api).json() == {"ok": True}
    assert create(charlie_api, "charlies").status_code == 409
    assert late.answer().json() == {"ok": True}
    assert create(charlie_api, "charlies").status_code == 409

    a_minute_passes()
    assert create(charlie_api, "charlies").status_code == 200
    assert Connection.objects.get().owner == charlie
    assert at_nango(sandbox, "main")["credentials"]["apiKey"] == "charlies"


def test_the_owner_may_make_it_anew_a_minute_after_a_delete_that_was_cut(alice_api, sandbox):
    create(alice_api, "first")
    sandbox.faults(target="nango", match="DELETE /connections/*", drop="after", times=2)
    assert delete(alice_api).status_code == 502
    waiting = create(alice_api, "second")
    sentence = "This connection is being deleted. Please try again in a minute."
    assert (waiting.status_code, waiting.json()) == (409, {"error": sentence})

    a_minute_passes()
    assert create(alice_api, "second").status_code == 200
    assert at_nango(sandbox, "main")["credentials"]["apiKey"] == "second"
