"""`make manage`: manage.py with the settings and the database of `make dev`, running or not.

Of one that runs in the same state folder it takes ports and addresses; what the environment has wins.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from dev import data_database
from dev.default_env import is_set, server_environment
from dev.errors import DevelopmentError, FolderInUseError
from dev.options import Options
from dev.postgres import EmbeddedPostgres, address_of_running
from dev.running_instance import with_noted
from dev.state import make_folder

_INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run one command of manage.py, given by its words; return its status, or 1 when there is no database."""
    try:
        given = with_noted(os.environ)
        options = Options.read(given)
        make_folder(options.state, private=os.geteuid() != 0)
        environment = server_environment(options, given)
        with contextlib.ExitStack() as running:
            if not is_set("DATABASE_URL", environment):
                environment["DATABASE_URL"] = _database(options, running)
                if not is_set("DATABASE_DATA_URL", environment):
                    url = data_database.ensure(options.state, server_url=environment["DATABASE_URL"])
                    environment["DATABASE_DATA_URL"] = url
            return _run([sys.executable, "manage.py", *words], environment)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except DevelopmentError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run to the end. Ctrl-C reaches the command too, which may take its time: a worker hands its builds over."""
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    with subprocess.Popen(command, env=environment) as child:
        status = child.wait()
    # A shell's way to tell of a signal.
    return status if status >= 0 else 128 - status


def _database(options: Options, running: contextlib.ExitStack) -> str:
    """Return the address of the database that `make dev` serves, or else serve it for this command."""
    try:
        return running.enter_context(EmbeddedPostgres(state=options.state)).url
    except FolderInUseError:
        return address_of_running(options.state)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
