"""Making a machine: app, database, secrets, volume and machine, in this order."""

import time
from datetime import timedelta

import orjson
from django.conf import settings
from django.utils import timezone

from clouddev.clients.data_database import DataDatabase
from clouddev.machine_tokens import Signer
from clouddev.models import Machine
from clouddev.names import database_name_of, slug_of
from clouddev.services.provisioning.lease import MachineAttempt
from clouddev.services.provisioning.placement import NoRoom, drop_spare_volumes, place
from fly.clients.machines_api import AddressKind, Fly, LeaseHeld, PreconditionFailed, UnknownMachine
from fly.services import fly_apps

# SSH is raw TCP, which a shared IPv4 can't tell apart.
_ADDRESSES: tuple[AddressKind, ...] = ("v6", "v4")
_STARTS_WITHIN_SECONDS = 300.0
_WAIT = timedelta(seconds=4)
_ENDED = frozenset({"failed", "launch_failed", "destroyed"})


class Impossible(Exception):
    """The machine can't be made; `sentence` is for the person who wants it."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def make(attempt: MachineAttempt) -> None:
    """Do all that is left until the machine has started. Raises Impossible and what the clients raise."""
    fly = Fly.from_settings()
    attempt.note_step("Setting up the app…")
    attempt.retry(lambda: fly_apps.ensure(fly_app_id=attempt.row.fly_app_id, addresses=_ADDRESSES, now=timezone.now()))
    if attempt.row.secrets_version is None:
        _set_secrets(attempt, fly)
    try:
        machine = place(attempt, fly)
    except NoRoom as error:
        raise Impossible(error.sentence) from error
    attempt.settle(lambda: drop_spare_volumes(attempt, fly))
    _wait_until_started(attempt, fly, machine.id)


def _set_secrets(attempt: MachineAttempt, fly: Fly) -> None:
    """Give Fly all that the machine shall know. The database's password exists here and there only.

    An attempt that died before this was recorded is followed by one that makes a new password.
    """
    machine = attempt.row
    values = orjson.loads(machine.unseal("sealed_environment")) if machine.sealed_environment else {}
    if machine.database_schema:
        attempt.note_step("Setting up the database…")
        values |= _database(attempt)
    attempt.note_step("Setting the secrets…")
    values |= own_secrets(machine)
    version = attempt.settle(lambda: fly.set_secrets(machine.fly_app_id, values))
    attempt.record(secrets_version=version)


def _database(attempt: MachineAttempt) -> dict[str, str]:
    provisioned = attempt.retry(
        lambda: DataDatabase.from_settings().provision(database_name_of(attempt.row.fly_app_id))
    )
    attempt.record(database_host=provisioned.host)
    return {"DATABASE_URL": provisioned.url, "DATABASE_SCHEMA": provisioned.schema}


def own_secrets(machine: Machine) -> dict[str, str]:
    """What every machine is told, whatever its owner wants set."""
    return {
        "APP_NAME": slug_of(machine.app_name),
        "DEV_USER": machine.dev_user,
        "SSH_PUBLIC_KEY": machine.ssh_public_key,
        "CRAYON_SERVER_URL": settings.PUBLIC_URL,
        "DEV_UI_JWT_PUBLIC_KEY": Signer.from_settings().public_key_pem(escaped=True),
    }


def _wait_until_started(attempt: MachineAttempt, fly: Fly, machine_id: str) -> None:
    """Wait for Fly to have it running; one that was made without being started is started."""
    attempt.note_step("Starting the workspace…")
    app = attempt.row.fly_app_id
    until = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < until:
        attempt.require_going()
        machine = attempt.settle(lambda: fly.get_machine(app, machine_id))
        if machine.state == "started":
            attempt.record(fly_state=machine.state)
            return
        if machine.state in _ENDED:
            raise Impossible("The workspace did not start at Fly. Create it again.")
        if machine.state in {"stopped", "suspended"}:
            attempt.retry(lambda: _start(fly, app, machine_id))
        attempt.settle(lambda: fly.wait_for_machine(app, machine_id, state="started", timeout=_WAIT))
    raise Impossible("The workspace did not start within five minutes. Create it again.")


def _start(fly: Fly, app: str, machine_id: str) -> None:
    try:
        fly.start_machine(app, machine_id)
    except (PreconditionFailed, UnknownMachine, LeaseHeld):
        return  # its state changes right now; looked at again in a moment
