"""A server that is killed while somebody creates or destroys a machine: all of the order is there, or nothing."""

import contextlib
import os
import signal
import threading
from urllib.parse import urlsplit

import psycopg
import pytest
import urllib3
from django.db import connection

from accounts.models import AuditEvent
from clouddev.models import Machine
from clouddev.services import provisioning
from tests.clouddev.data_databases import superuser_url
from tests.clouddev.worker_harness import wait_for
from tests.conftest import token_of

pytestmark = pytest.mark.django_db(transaction=True)
State = Machine.State
CREATE = ("/api/cloud-dev/create", {"appName": "studio", "envVars": {"MARKER": "not-a-secret"}})
DESTROY = ("/api/cloud-dev/destroy", {"appName": "studio"})
# The tables that a request writes to, in its order; whoever has the lock keeps it waiting there.
TABLES_OF_CREATE = [
    "fly_flyapp",
    "clouddev_machine",
    "clouddev_member",
    "accounts_auditevent",
    "procrastinate_jobs",
]
TABLES_OF_DESTROY = ["clouddev_machine", "accounts_auditevent", "procrastinate_jobs"]


@pytest.fixture
def server(workshop, running_machine_server):
    running_machine_server.wait_until_ready()
    return running_machine_server


@pytest.fixture
def locked():
    """A connection that can lock tables against being written to."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(urlsplit(superuser_url())._replace(path=f"/{name}").geturl()) as holder:
        yield holder


def ask(server, call, token):
    path, body = call
    return server.request("POST", path, token=token, json=body)


def kill_workers(server):
    for pid in server._worker_pids():
        os.kill(pid, signal.SIGKILL)


def kill_while_it_writes_to(server, locked, table, call, token):
    """Make the call, and kill the server's process while it waits to write to the table."""

    def attempt():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            ask(server, call, token)

    def waits():
        return locked.execute(
            "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table]
        ).fetchone()

    locked.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
    asking = threading.Thread(target=attempt)
    asking.start()
    wait_for(waits, "the request waits for the table", seconds=15)
    kill_workers(server)
    asking.join()
    locked.rollback()
    server.wait_until_ready()


def has_ended(table):
    """Whether nobody's transaction holds the table any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND mode = 'RowExclusiveLock'"
            " AND pid <> pg_backend_pid()",
            [table],
        )
        return cursor.fetchone() is None


@pytest.mark.parametrize("table", TABLES_OF_CREATE)
def test_an_order_for_a_machine_that_is_cut_off_was_never_given(workshop, alice, server, locked, table):
    token = token_of(alice)
    kill_while_it_writes_to(server, locked, table, CREATE, token)
    wait_for(lambda: has_ended(table), "the dead one's transaction ends")
    workshop.require_nothing_left()
    assert not Machine.objects.exists()
    assert workshop.status(alice).status == "not_found"

    answer = ask(server, CREATE, token)
    assert answer.status == 200, answer.data
    machine = Machine.objects.get()
    provisioning.work(machine.pk)
    workshop.require_whole(machine)


@pytest.mark.parametrize("table", TABLES_OF_DESTROY)
def test_an_order_to_destroy_that_is_cut_off_was_never_given(workshop, alice, server, locked, table):
    token = token_of(alice)
    machine = workshop.make(alice)
    kill_while_it_writes_to(server, locked, table, DESTROY, token)
    wait_for(lambda: has_ended(table), "the dead one's transaction ends")
    workshop.require_whole(machine)
    assert not AuditEvent.objects.filter(action="machine.destroyed").exists()

    assert ask(server, DESTROY, token).status == 200
    provisioning.work(machine.pk)
    assert not Machine.objects.exists()
    workshop.require_nothing_left()


def test_whose_answer_was_lost_asks_again_and_gets_the_same_machine(workshop, alice, server):
    """The server dies as soon as the order is there."""
    token = token_of(alice)

    def attempt():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            ask(server, CREATE, token)

    asking = threading.Thread(target=attempt)
    asking.start()
    wait_for(Machine.objects.exists, "the order is there", seconds=15)
    kill_workers(server)
    asking.join()
    machine = Machine.objects.get()
    server.wait_until_ready()

    answer = ask(server, CREATE, token)
    assert answer.status == 200, answer.data
    assert answer.json()["data"]["flyAppName"] == machine.fly_app_id
    provisioning.work(machine.pk)
    workshop.require_whole(machine)
