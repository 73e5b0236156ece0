"""The program: its commands and its exit codes (internal/cli/cli.go of flyctl)."""

from sandbox.flyctl.console import Failed, Interrupted, err, heed_signals, out
from sandbox.flyctl.deploy import deploy
from sandbox.flyctl.flags import read_flags

_OK, _FAILED, _DEADLINE, _CANCELED = 0, 1, 126, 127
_VERSION = "flyctl v0.0.0-sandbox linux/amd64 Commit: sandbox BuildDate: 2026-01-01T00:00:00Z"


def main(arguments: list[str]) -> int:
    """Run the command; gives the exit code."""
    heed_signals()
    try:
        return _command(arguments)
    except Interrupted:
        return _CANCELED
    except TimeoutError:
        return _DEADLINE
    except Failed as error:
        err(f"Error: {error}")
        return _FAILED


def _command(arguments: list[str]) -> int:
    name, *rest = arguments or ["help"]
    if name == "version":
        out(_VERSION)
    elif name == "deploy":
        deploy(read_flags(rest))
    elif name == "help":
        out("A stand-in for flyctl. It knows `deploy` and `version`.")
    else:
        raise Failed(f'unknown command "{name}" for "flyctl"')
    return _OK
