"""Shapes of the deployments API's requests and answers."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from core.schemas import Request, told, words
from deployments import models
from fly.schemas import AppName, Variables


def _visible(commit: str) -> str:
    if not commit.isprintable():
        raise ValueError("Control characters are not allowed.")
    return commit


# The name of a commit, or any short word for what is pushed.
_Commit = Annotated[str, words(most=100, may_be_blank=True, check=_visible)]


class App(Request):
    """Which app."""

    app_name: AppName


class Push(App):
    """What is pushed, as JSON."""

    archive: Annotated[
        str,
        words(may_be_blank=True, trimmed=False),
        told("A tar archive compressed with gzip, as base64 (RFC 4648, section 4), a Dockerfile at its top."),
    ]
    env_vars: Annotated[
        Variables | None,
        told(
            "Environment variables. They become secrets of the app; secrets that aren't named stay as they are. "
            "Those that the build itself needs, with names that begin as a browser's bundle has them (such as "
            "`VITE_`), are kept for this build alone: send them with every push. CRAYON_SERVER_URL is this server's "
            "address unless it was sent once."
        ),
    ] = None
    commit_hash: _Commit | None = None


class RawPush(App):
    """The query of a push whose body is the archive itself."""

    commit_hash: _Commit = ""


class Pushed(TypedDict):
    """What was pushed waits to be built."""

    status: Literal["deploying"]
    buildId: str
    message: NotRequired[Annotated[str, told("What of the environment was left out, and why.")]]


class Prepared(TypedDict):
    """Where the app answers once something was pushed to it."""

    appUrl: str


class AppStatus(TypedDict):
    """How an app is. `message` is the current step, `error` why its latest build failed; each is left out else."""

    status: Literal["not_found", "idle", "queued", "building", "build_error", "starting", "running"]
    url: str | None
    commit: str | None
    message: NotRequired[str]
    error: NotRequired[str]


class Logs(TypedDict):
    """An app's logs; null where there is nothing to have one, or Fly can't be asked."""

    buildLog: Annotated[
        str | None, told("At most 100,000 characters: the log's end, or with `offset` what follows there.")
    ]
    serviceLogs: str | None
    buildId: Annotated[str | None, told("The build that `buildLog` is of.")]
    nextOffset: Annotated[int, told("The `offset` to go on with.")]
    logLength: Annotated[int, told("Characters of the build's log so far.")]


class Canceled(TypedDict):
    """What waits is over; what runs stops within seconds."""

    status: Literal["canceled"]


class Build(TypedDict):
    """A build."""

    id: str
    status: Annotated[str, told(enum=models.Build.State.values)]
    commit: str | None
    startedAt: datetime | None
    finishedAt: datetime | None
    error: str | None
