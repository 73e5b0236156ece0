"""What may go wrong at the data database, and how PostgreSQL's own words for it are read."""

import psycopg

from core.errors import ApplicationError, Unavailable, UpstreamFailed, UpstreamTimeout

_RETRY_SECONDS = 5
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CANCELED = "57014"
_BUSY_STATES = frozenset({"40001", "40P01", "55006", "55P03", "57P01", "57P02", "57P03", "57P05", "XX000"})
_BUSY_CLASS = "53"  # insufficient resources, out of connections among them
# Another provisioning or dropping got in between: what was looked up a moment ago is no longer so.
_CROSSED_STATES = frozenset({"40001", "40P01", "23505", "42710", "42P04", "42P06", "42704", "3F000", "2BP01", "XX000"})
# A refused connection has no SQLSTATE in libpq, only the server's sentence.
_BUSY_SENTENCES = (
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "starting up",
    "shutting down",
    "in recovery mode",
    "not yet accepting connections",
)


class ForeignName(ValueError):
    """The name is not one that `clouddev.names.database_name_of` gives, so nothing of it is touched."""

    def __init__(self) -> None:
        super().__init__("Only roles and schemas named crayon_dev_ and eight hex characters are ours.")


class DataDatabaseMissing(Unavailable):
    """503: no data database is configured, or its address can't be read."""

    default = "This server has no data database: DATABASE_DATA_URL is not set. Bring a DATABASE_URL of your own."


class DataDatabaseFailed(UpstreamFailed):
    """502: the data database can't be reached, or refuses what we ask."""

    default = "The data database can't be used right now. Please try again in a moment."


class DataDatabaseBusy(Unavailable):
    """503: it is out of connections, is restarting, or others hold what we need."""

    default = "The data database is busy. Please try again in a moment."


class DataDatabaseTimeout(UpstreamTimeout):
    """504: it did not answer in time; a change may have been made there."""

    default = "The data database did not answer in time. Please try again in a moment."


def failure_of(error: psycopg.Error) -> ApplicationError:
    """The typed failure for what psycopg raised."""
    state = error.sqlstate
    if state == _CANCELED or isinstance(error, psycopg.errors.ConnectionTimeout):
        return DataDatabaseTimeout()
    if _is_busy(error):
        return DataDatabaseBusy(retry_after=_RETRY_SECONDS)
    return DataDatabaseFailed()


def is_crossed(error: psycopg.Error) -> bool:
    """Whether the whole transaction, run again, may well succeed."""
    return error.sqlstate in _CROSSED_STATES


def _is_busy(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        return any(sentence in str(error) for sentence in _BUSY_SENTENCES)
    return error.sqlstate in _BUSY_STATES or error.sqlstate.startswith(_BUSY_CLASS)
