"""Looking for what a workspace may have left in the data database that now belongs to somebody who may do more."""

from clouddev.clients.data_database import DataDatabase, Stray


def find_strays() -> list[Stray]:
    """All of them. Raises the data database's errors, DataDatabaseMissing among them."""
    return DataDatabase.from_settings().strays()
