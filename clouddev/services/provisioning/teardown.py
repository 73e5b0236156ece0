"""Removing what a machine has outside: the app with its machine and volume, then its database."""

import logging

from django.utils import timezone

from clouddev.clients.data_database import DataDatabase
from clouddev.names import database_name_of
from clouddev.services.provisioning.lease import MachineAttempt
from core.errors import Unavailable
from fly.services import fly_apps

logger = logging.getLogger(__name__)


class DatabaseElsewhere(Unavailable):
    """The machine's database was made at another host, and is not where the server has its data database now."""

    default = (
        "The workspace's database is at a host that this server no longer uses. An operator has to remove it there."
    )


def remove_outside(attempt: MachineAttempt) -> None:
    """Delete it all; what isn't there is done. Can be repeated. Raises what the clients raise.

    The app goes first, so that nothing is left that would still use the database.
    """
    machine = attempt.row
    attempt.note_step("Removing the workspace and its volume…")
    attempt.briefly(lambda: fly_apps.remove(fly_app_id=machine.fly_app_id, now=timezone.now()))
    if machine.database_schema:
        _remove_database(attempt)


def _remove_database(attempt: MachineAttempt) -> None:
    """Drop the machine's role and schemas where they are. Raises DatabaseElsewhere, and what the client raises."""
    attempt.note_step("Removing the database…")
    database, name = DataDatabase.from_settings(), database_name_of(attempt.row.fly_app_id)
    if attempt.row.database_host not in {"", database.host}:
        if not attempt.briefly(lambda: database.exists(name)):
            logger.error(
                "machine %s: its database %s is at %s, and DATABASE_DATA_URL is at %s: drop it there",
                attempt.row.pk, name, attempt.row.database_host, database.host,
            )  # fmt: skip
            attempt.note_step(DatabaseElsewhere.default)
            raise DatabaseElsewhere
        # It came along with everything else, so it is here from now on, also for whoever finds it dropped.
        attempt.record(database_host=database.host)
    attempt.briefly(lambda: database.drop(name))
