"""The data database: a role and two schemas in it for each machine that brings no database of its own."""

from clouddev.clients.data_database.admin_owned import Stray
from clouddev.clients.data_database.client import DataDatabase, Provisioned
from clouddev.clients.data_database.databases import Surroundings
from clouddev.clients.data_database.errors import (
    DataDatabaseBusy,
    DataDatabaseFailed,
    DataDatabaseMissing,
    DataDatabaseTimeout,
    ForeignName,
)

__all__ = [
    "DataDatabase",
    "DataDatabaseBusy",
    "DataDatabaseFailed",
    "DataDatabaseMissing",
    "DataDatabaseTimeout",
    "ForeignName",
    "Provisioned",
    "Stray",
    "Surroundings",
]
