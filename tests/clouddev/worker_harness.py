"""Machines in the hands of workers: ordering them, helping time along, and what must be true in the end."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import User
from clouddev.models import Machine
from clouddev.names import database_name_of, is_fly_name
from clouddev.services import creation, destruction, provisioning
from clouddev.services.status import Status, status_of
from fly.models import FlyApp
from fly.services import reconciliation
from tests.clouddev.data_databases import query
from tests.fly.fly_assertions import apps_at_fly, caller, kinds_at_fly
from tests.sandbox_process import SandboxProcess

State = Machine.State
# Not pg_stat_activity, which stays within a transaction as it was when that first looked.
_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
MULTI_LINE = '{\n  "type": "service_account",\n  "key": "not-a-secret\\n"\n}\n'
ENVIRONMENT = {"GOOGLE_CREDENTIALS": MULTI_LINE, "CRAYON_TOKEN": "not-a-secret"}
OWN_DATABASE = {**ENVIRONMENT, "DATABASE_URL": "postgresql://elsewhere.example/shop"}


class Workshop:
    """Where the machines of a test are made."""

    def __init__(self, sandbox: SandboxProcess, leftovers: Callable[[str], dict[str, int]]) -> None:
        self.sandbox, self.leftovers = sandbox, leftovers

    def order(self, person: User, app_name: str = "studio", *, environment: Mapping[str, str] = ENVIRONMENT) -> Machine:
        """A machine that waits for a worker."""
        created = creation.create(
            caller=caller(person), app_name=app_name, environment=environment, region="iad", now=timezone.now()
        )
        return created.machine

    def make(self, person: User, app_name: str = "studio", *, environment: Mapping[str, str] = ENVIRONMENT) -> Machine:
        """A machine, as far as it could be made by one worker, here and now."""
        machine = self.order(person, app_name, environment=environment)
        provisioning.work(machine.pk)
        machine.refresh_from_db()
        return machine

    def destroy(self, machine: Machine, *, by: User | None = None) -> None:
        """What the owner's order to destroy it writes."""
        destruction.destroy(machine=machine, actor=by)

    def let_go(self) -> None:
        """Set the clock to when a dead worker's machines may be taken by others."""
        long_ago = timezone.now() - timedelta(minutes=2)
        Machine.objects.exclude(heartbeat_at=None).update(heartbeat_at=long_ago)
        FlyApp.objects.exclude(claimed_at=None).update(claimed_at=long_ago)
        provisioning.sweep()

    def status(self, person: User, app_name: str = "studio") -> Status:
        return status_of(person=caller(person), app_name=app_name)

    def require_whole(self, machine: Machine) -> Machine:
        """The machine is ready, and there is nothing besides: what every recovery has to come to."""
        machine = Machine.objects.select_related("fly_app").get(pk=machine.pk)
        app = machine.fly_app_id
        assert (machine.state, machine.error, machine.step) == (State.READY, "", "")
        assert machine.sealed_environment is None
        assert machine.heartbeat_at is None
        assert machine.fly_app.state == FlyApp.State.READY
        assert apps_at_fly(self.sandbox) == {app}
        assert kinds_at_fly(self.sandbox, app) == ["v4", "v6"]
        fly = self.sandbox.state()["fly"]
        ((machine_id, made),) = fly["machines"].items()
        ((volume_id, volume),) = fly["volumes"].items()
        assert (machine.fly_machine_id, machine.volume_id) == (machine_id, volume_id)
        assert volume["attached_machine_id"] == machine_id
        assert (made["state"], made["region"], volume["region"]) == ("started", machine.region, machine.region)
        secrets = fly["secrets"][app]
        # What it runs with is what was set last, and opens its database.
        assert made["secrets"] == secrets
        if machine.database_schema:
            assert query(secrets["DATABASE_URL"], "SELECT current_user") == [(machine.database_schema,)]
        self.require_nothing_to_reconcile()
        return machine

    def require_nothing_left(self) -> None:
        """Nothing at Fly, nothing in the data database of any machine, and nothing sealed here for good."""
        fly = self.sandbox.state()["fly"]
        assert {kind: list(fly[kind]) for kind in ("apps", "machines", "volumes", "ips", "secrets") if fly[kind]} == {}
        for name in FlyApp.objects.values_list("name", flat=True):
            if is_fly_name(name):
                assert self.leftovers(database_name_of(name)) == {}
        assert set(FlyApp.objects.values_list("state", flat=True)) <= {FlyApp.State.GONE}
        assert not Machine.objects.exclude(state=State.FAILED).exists()
        assert not Machine.objects.exclude(sealed_environment=None).filter(variables_kept_until=None).exists()
        self.require_nothing_to_reconcile()

    def require_failed(self, person: User, app_name: str = "studio") -> str:
        """Nothing is left but a row that says what was wrong; gives the sentence."""
        self.require_nothing_left()
        machine = Machine.objects.get(owner=person, app_name=app_name)
        assert (machine.state, machine.volume_id, machine.fly_machine_id) == (State.FAILED, "", "")
        status = self.status(person, app_name)
        assert (status.status, status.message) == ("error", "")
        require_sentence(status.error)
        return status.error

    def require_nothing_to_reconcile(self) -> None:
        """Fly's apps and our rows agree, also for who looks when all has settled."""
        counts = reconciliation.reconcile(now=timezone.now() + timedelta(minutes=20))
        found = (counts.removed, counts.unfinished, counts.strangers, counts.missing, counts.abandoned)
        assert found == (0, 0, 0, 0, 0)


def require_sentence(text: str) -> None:
    """It is for a person: one sentence or two, without anything technical."""
    assert text
    assert text[0].isupper()
    assert text[-1] in ".…"
    assert not any(word in text for word in ("Traceback", "Error", "http", "None", "psycopg"))


def is_somebody_blocked() -> bool:
    """Whether another connection waits for what this one's transaction holds."""
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKED)
        return bool(cursor.fetchone()[0])


def wait_for(condition: Callable[[], Any], what: str, *, seconds: float = 40) -> None:
    """Wait until it is so; fails when it isn't in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def at_fly(workshop: Workshop) -> Any:
    """The one machine, volume and app with its secrets."""
    fly = workshop.sandbox.state()["fly"]
    ((name, app),) = fly["apps"].items()
    (machine,), (volume,) = fly["machines"].values(), fly["volumes"].values()
    return name, app, machine, volume, fly["secrets"][name]


def everything_in_the_database() -> str:
    """All rows of all our tables, as texts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [table for (table,) in cursor.fetchall()]
        texts = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            texts += [text for (text,) in cursor.fetchall()]
    assert len(tables) > 20
    return "\n".join(texts)
