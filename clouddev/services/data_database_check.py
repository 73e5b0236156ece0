"""Looking at the data database and its server for what workspaces may have left or could reach."""

from django.conf import settings
from django.db import Error, connection

from clouddev.clients.data_database import DataDatabase, Stray

_IDENTIFIER = "SELECT system_identifier FROM pg_catalog.pg_control_system()"


def find_strays() -> list[Stray]:
    """What a workspace may have written and the admin owns. Raises the data database's errors."""
    return DataDatabase.from_settings().strays()


def find_faults() -> tuple[bool, bool]:
    """Whether workspaces may connect to the server's own database, and whether the admin may not do what it must.

    Raises the data database's errors.
    """
    around = DataDatabase.from_settings().surroundings()
    own = str(settings.DATABASES["default"]["NAME"])
    reachable = own in around.open_to_everybody and around.system_identifier == _own_identifier()
    return reachable, settings.DATABASE_DATA_ISOLATION == "database" and not around.may_make_databases


def _own_identifier() -> int | None:
    """The number of the server that has our own database; None when that can't be asked."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_IDENTIFIER)
            [identifier] = cursor.fetchone()
    except Error:
        return None
    return int(identifier)
