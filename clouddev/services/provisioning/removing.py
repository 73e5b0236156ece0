"""Removing what a machine has outside: the app with its machine and volume, then its database."""

from django.utils import timezone

from clouddev.clients.data_database import DataDatabase
from clouddev.names import database_name_of
from clouddev.services.provisioning.attempts import MachineAttempt
from deployments.services import fly_apps


def remove_outside(attempt: MachineAttempt) -> None:
    """Delete it all; what isn't there is done. Can be repeated. Raises what the clients raise.

    The app goes first, so that nothing is left that would still use the database.
    """
    machine = attempt.row
    attempt.note_step("Removing the machine and its volume…")
    attempt.retry(lambda: fly_apps.remove(fly_app_id=machine.fly_app_id, now=timezone.now()))
    if machine.database_schema:
        attempt.note_step("Removing the database…")
        attempt.retry(lambda: DataDatabase.from_settings().drop(database_name_of(machine.fly_app_id)))
