"""What is asked of flyctl, and what comes back."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.errors import Unavailable


class FlyctlMissing(Unavailable):
    """503: the program that `FLYCTL` names isn't on this machine, or can't be run."""

    default = "This server can't build: flyctl is missing on its workers. Please tell its operator."


class StopReason(StrEnum):
    """Why a deployment was ended before its time."""

    # Somebody wants it no more.
    CANCELED = "canceled"
    # This worker may no longer work at it: another one has taken it, or will soon.
    CUT_OFF = "cut_off"
    # Nothing was printed for too long.
    SILENT = "silent"
    # It took too long altogether.
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds.

    `grace` lies between asking flyctl to stop and killing it. `patience` is how long the supervisor waits for a
    sign of the worker: with the five seconds of its own grace, that must be less than what it takes until
    another worker begins (`TAKEOVER_AFTER` in `deployments.models.builds`).
    """

    total: float
    silence: float
    grace: float = 15.0
    patience: float = 18.0


@dataclass(frozen=True, slots=True)
class Order:
    """One deployment.

    `folder` is the job's own: home and temporary files of flyctl are made in it, and the supervisor removes it
    when the worker dies. Keep its path short, since Unix sockets in it may have 108 bytes. `context` (the
    unpacked archive) and `config` (our fly.toml) lie in it too. With `image`, that is deployed and nothing built.
    `secrets_version` is Fly's number of the last change of the app's secrets; machines wait for it.
    """

    app: str
    folder: Path
    context: Path
    config: Path
    deploy_token: str = field(repr=False)
    label: str
    image: str | None = None
    secrets_version: int | None = None

    @property
    def home(self) -> Path:
        """The folder that flyctl takes for the home of its user."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """The folder for flyctl's temporary files."""
        return self.folder / "tmp"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended.

    `image` is the reference of what was built, or "". `failure` is a sentence for the person who pushed, ""
    when it went well. `stopped` tells why it was ended; None where it ended by itself, or was done before it
    could be stopped: then `exit_code` is 0, and Fly runs the image.
    """

    exit_code: int
    image: str
    failure: str
    stopped: StopReason | None

    @property
    def succeeded(self) -> bool:
        """Whether Fly runs the image."""
        return self.exit_code == 0
