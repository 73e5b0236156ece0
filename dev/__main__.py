"""`make dev`: the whole server on this machine, with a database and the sandbox.

PORT (3000), SANDBOX_PORT (3001), DEV_STATE (.dev) and PUBLIC_URL (http://localhost:PORT) may be
set, and so may every setting of the server: what the environment has wins over what is preset here.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from dev import banner, data_database, migrations, superuser
from dev.default_env import is_set, server_environment
from dev.errors import DevelopmentError
from dev.options import Options
from dev.ports import loopback
from dev.postgres import EmbeddedPostgres
from dev.processes import Program, Restarts, require_running, run, wait_until_answering
from dev.running_instance import lock_of, noted
from dev.state import make_folder

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 60


def main() -> int:
    """Run until Ctrl-C (0) or until something fails (1)."""
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    try:
        with contextlib.ExitStack() as running:
            running.callback(_say, "Stopped.")
            _serve(Options.read(), running)
    except KeyboardInterrupt:
        return 0
    except DevelopmentError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1


def _interrupt(_number: int, _frame: object) -> NoReturn:
    # What follows is the stopping, which takes a few seconds at most and must not be cut short.
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _serve(options: Options, running: contextlib.ExitStack) -> NoReturn:
    """Start everything, say where it is, and watch over it. What is started stops with `running`."""
    options.require_free_ports()
    make_folder(options.state, private=os.geteuid() != 0)
    logs = make_folder(options.state / "logs")
    running.enter_context(lock_of(options.state))
    running.enter_context(noted(options, os.environ))
    environment = server_environment(options, os.environ)
    sandbox = Program("sandbox", _sandbox_command(options), logs=logs)
    server = Program("server", _server_command(options), logs=logs)
    # A worker ends in good order only with its database, which dies together with us.
    worker = Program("worker", [sys.executable, "manage.py", "worker"], logs=logs, death_signal=signal.SIGKILL)
    programs = [sandbox, server, worker]
    running.enter_context(_stopping(sandbox))
    sandbox.start(environment)
    environment["DATABASE_URL"] = _database(options, environment, running)
    if not is_set("DATABASE_URL", os.environ) and not is_set("DATABASE_DATA_URL", environment):
        environment["DATABASE_DATA_URL"] = data_database.ensure(options.state, server_url=environment["DATABASE_URL"])
    password = _prepare_database(options, environment, logs)
    running.enter_context(_stopping(server))
    _say("Starting the server ...")
    server.start(environment)
    running.enter_context(_stopping(worker))
    worker.start(environment)
    wait_until_answering(f"{options.sandbox_url}/_sandbox/state", programs, patience=_PATIENCE)
    wait_until_answering(f"{options.server_url}/_/ready", programs, patience=_PATIENCE)
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    _say(banner.text(options, password=password, opener=opener))
    restarts = Restarts(worker, environment)
    while True:
        # Builds are made to survive their worker, so that anybody may try it; without the others nothing works.
        require_running([sandbox, server])
        restarts.start_if_due()
        time.sleep(0.2)


def _database(options: Options, environment: Mapping[str, str], running: contextlib.ExitStack) -> str:
    """Return the address of the database to use, starting the embedded one when none is set."""
    if is_set("DATABASE_URL", environment):
        file = environment.get("DATABASE_URL_FILE")
        return Path(file).read_text(encoding="utf-8").strip() if file else environment["DATABASE_URL"]
    _say("Starting PostgreSQL ...")
    return running.enter_context(EmbeddedPostgres(state=options.state)).url


def _prepare_database(options: Options, environment: Mapping[str, str], logs: Path) -> str | None:
    """Migrate, and return the operator's password."""

    def manage(additional: Mapping[str, str], *words: str) -> None:
        run(
            [sys.executable, "manage.py", *words],
            environment={**environment, **additional},
            log=logs / f"{words[0]}.log",
        )

    is_own = not is_set("DATABASE_URL", os.environ)
    if not (is_own and migrations.are_done(options.state, database_url=environment["DATABASE_URL"])):
        _say("Migrating the database ...")
        manage({}, "migrate", "--noinput")
    if is_own:
        migrations.note_done(options.state, database_url=environment["DATABASE_URL"])
    return superuser.ensure(state=options.state, database_url=environment["DATABASE_URL"], manage=manage)


@contextlib.contextmanager
def _stopping(program: Program) -> Iterator[None]:
    try:
        yield
    finally:
        program.stop()


def _sandbox_command(options: Options) -> list[str]:
    return [
        *(sys.executable, "-m", "sandbox", "--host", "127.0.0.1"),
        *("--port", str(options.sandbox_port)),
        *("--webhook-url", f"{options.server_url}/webhooks/nango"),
        *("--webhook-scheme", urlsplit(options.public_url).scheme),
        *("--state", str(options.state / "sandbox.state")),
    ]


def _server_command(options: Options) -> list[str]:
    templates = (str(path) for path in sorted(Path("templates").rglob("*.html")))
    bound = (f"[{address}]:{options.port}" if ":" in address else f"{address}:{options.port}" for address in loopback())
    return [
        *(sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "--reload"),
        *(word for address in bound for word in ("--bind", address)),
        *(word for path in templates for word in ("--reload-extra-file", path)),
        "config.wsgi:application",
    ]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
