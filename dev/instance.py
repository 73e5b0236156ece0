"""What runs in a state folder: one `make dev`, or one command of `make manage`, with the folder's database."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dev import data_database
from dev.default_env import is_set, note, server_environment
from dev.options import Options
from dev.postgres import EmbeddedPostgres
from dev.state import locked, make_folder


@contextmanager
def instance(options: Options) -> Iterator[dict[str, str]]:
    """Hold the state folder and yield the server's environment, with the database that is set or else served here.

    Raises FolderInUseError when another process holds the folder, DevelopmentError when the database doesn't start.
    """
    make_folder(options.state, private=os.geteuid() != 0)
    with ExitStack() as running:
        running.enter_context(locked(options.state / "dev.lock"))
        noted = options.state / "running.json"
        noted.unlink(missing_ok=True)  # of one that was killed
        running.callback(noted.unlink, missing_ok=True)
        environment = server_environment(options, os.environ)
        if not is_set("DATABASE_URL", environment):
            environment["DATABASE_URL"] = running.enter_context(EmbeddedPostgres(state=options.state)).url
            if not is_set("DATABASE_DATA_URL", environment):
                url = data_database.ensure(options.state, server_url=environment["DATABASE_URL"])
                environment["DATABASE_DATA_URL"] = url
        note(options.state, environment)
        yield environment
