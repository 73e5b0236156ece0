"""`make dev`: the whole server on this machine, with a database and the sandbox.

PORT (3000), SANDBOX_PORT (3001), DEV_STATE (.dev) and PUBLIC_URL (http://localhost:PORT) may be
set, and so may every setting of the server: what the environment has wins over what is preset here.
"""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from dev.default_env import is_set
from dev.errors import DevelopmentError
from dev.instance import instance
from dev.migrations import fingerprint
from dev.options import Options
from dev.ports import is_free, loopback
from dev.processes import Program, require_running, run, wait_until_answering
from dev.state import make_folder, write_private

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 120
_PAUSE = 2  # seconds between a worker's end and the next one's start
_BANNER = """
  Server      {public}
  Admin       {public}/admin/        {login}
  Apps        {public}/deployments/     deployed from archives, by the worker
  API         {public}/api/docs
  Sandbox     {sandbox}     stands in for GitHub, Nango and Fly
  Requests    {state}/logs/server.log     warnings and errors appear here, too
  State       {state}     database, keys, logs, and what the sandbox knows

  README.md has a walk through all of it, from a command line's login to a workspace.
  Ctrl-C stops everything."""


def main() -> int:
    """Run until Ctrl-C (0) or until something fails (1)."""
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as running:
            running.callback(_say, "Stopped.")
            _serve(Options.read(os.environ), running)
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


def _serve(options: Options, running: ExitStack) -> NoReturn:
    """Start everything, say where it is, and watch over it. What is started stops with `running`."""
    for name, port in (("PORT", options.port), ("SANDBOX_PORT", options.sandbox_port)):
        if not is_free(port):
            raise DevelopmentError(
                f"Port {port} is taken by another program. "
                f"Stop that one, or choose another port: make dev {name}=<number>"
            )
    _say("Starting the database ...")
    environment = running.enter_context(instance(options))
    logs = make_folder(options.state / "logs")
    sandbox = Program("sandbox", _sandbox_command(options), logs=logs)
    server = Program("server", _server_command(options), logs=logs)
    # A worker ends in good order only with its database, which dies together with us.
    worker = Program("worker", [sys.executable, "manage.py", "worker"], logs=logs, death_signal=signal.SIGKILL)
    programs = [sandbox, server, worker]
    for program in programs:
        running.callback(program.stop)
    sandbox.start(environment)
    _prepare(options, environment, log=logs / "migrate.log")
    _say("Starting the server ...")
    server.start(environment)
    worker.start(environment)
    wait_until_answering(f"{options.sandbox_url}/_sandbox/state", programs, patience=_PATIENCE)
    wait_until_answering(f"{options.server_url}/_/ready", programs, patience=_PATIENCE)
    _say(_banner(options))
    while True:
        # Builds are made to survive their worker, so that anybody may try it; without the others nothing works.
        require_running([sandbox, server])
        if worker.has_ended():
            _say(f"The worker has stopped; it is started again in {_PAUSE} s. Its log is {worker.log}.")
            time.sleep(_PAUSE)
            worker.start(environment)
        time.sleep(0.2)


def _prepare(options: Options, environment: Mapping[str, str], *, log: Path) -> None:
    """Bring the database up to date, but for our own when nothing has changed since: Django takes seconds to say so.

    A CONFIG_FILE may have changed.
    """
    stamp = options.state / "migrated"
    wanted = hashlib.sha256(f"{fingerprint()} {environment.get('DATABASE_URL')}".encode()).hexdigest()
    may_differ = is_set("DATABASE_URL", os.environ) or is_set("CONFIG_FILE", os.environ)
    if may_differ or not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
        run([sys.executable, "-m", "dev.prepare"], environment=environment, log=log)
        write_private(stamp, wanted)


def _banner(options: Options) -> str:
    password = options.operator_password
    known = password.read_text(encoding="utf-8").strip() if password.exists() else None
    elsewhere = "made elsewhere (make manage ARGS='changepassword operator')"
    return _BANNER.format(
        public=options.public_url,
        sandbox=options.sandbox_url,
        state=options.state,
        login=f"operator / {known or elsewhere}",
    )


def _sandbox_command(options: Options) -> list[str]:
    return [
        *(sys.executable, "-m", "sandbox", "--host", "127.0.0.1"),
        *("--port", str(options.sandbox_port)),
        *("--webhook-url", f"{options.server_url}/webhooks/nango"),
        *("--webhook-scheme", urlsplit(options.public_url).scheme),
        *("--state", str(options.state / "sandbox.state")),
    ]


def _server_command(options: Options) -> list[str]:
    bound = (f"[{address}]:{options.port}" if ":" in address else f"{address}:{options.port}" for address in loopback())
    return [
        *(sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "--reload"),
        *(f"--bind={address}" for address in bound),
        *(f"--reload-extra-file={path}" for path in sorted(Path("templates").rglob("*.html"))),
        "config.wsgi:application",
    ]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
