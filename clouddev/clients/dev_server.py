"""The dev server on a machine, as cron jobs ask it: starting a workflow, and what became of that.

What runs on a machine is its members' own, so nothing it answers is trusted to be well formed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import ApplicationError, Conflict, NotFound, Unavailable, UpstreamFailed
from core.http_client import Response, Service, segment

LONGEST_RUN_ID = 200
_SECONDS = 15.0
_LONGEST_BODY_BYTES = 1 << 16
_LONGEST_WORDS = 300
_NOT_FOUND = 404
_REFUSED = frozenset({401, 403})
# By their meaning the request was not carried out (RFC 9110, section 15.6.4, and RFC 6585, section 4).
_NOT_NOW = frozenset({429, 503})
_SERVER_ERROR = 500
_SUCCEEDED = frozenset({"completed", "complete", "succeeded", "success", "successful", "done", "finished", "ok"})
_FAILED = frozenset(
    {"failed", "failure", "error", "errored", "cancelled", "canceled", "aborted", "timed_out", "timeout", "crashed"}
)


class NoSuchWorkflow(NotFound):
    """404: the machine has no workflow of this name."""

    default = "The workspace has no workflow of this name. Add it there, or delete this job."


class NoSuchRun(NotFound):
    """404: the machine knows no such run."""

    default = "The workspace no longer knows the run."


class Refused(Conflict):
    """The machine answered, and won't do it; asking again won't help."""

    default = "The workspace refused the request. Look at its dev server's log."


class NotNow(Unavailable):
    """The machine can't do it at the moment, and has done nothing."""

    default = "The workspace can't start workflows right now."


class BadAnswer(UpstreamFailed):
    """The machine failed, or answered nonsense; it may have done what it was asked to."""

    default = "The workspace gave an answer that can't be understood."


class Outcome(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """A run, as the machine tells; `error` is in the machine's words, for one that failed."""

    outcome: Outcome
    error: str = ""


class DevServer:
    """The dev server of one machine. `url` is the machine's own, `token` a dev-UI token for it."""

    def __init__(self, *, url: str, token: str) -> None:
        self._service = Service(
            name="The workspace",
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            budget=_SECONDS,
            longest_body=_LONGEST_BODY_BYTES,
        )

    def start_workflow(self, name: str, *, given: object) -> str:
        """Start a workflow with this input; gives the id of its run. Sent once at the most.

        Raises NoSuchWorkflow, Refused or NotNow when nothing was started; BadAnswer, ServiceTimeout, and
        ServiceFailed with `sent`, when it may have been.
        """
        path = f"/dev/api/workflows/{segment(name)}/start"
        answer = self._service.call("POST", path, json={"input": given}, repeatable=False)
        if answer.status == _NOT_FOUND:
            raise NoSuchWorkflow
        if answer.status in _NOT_NOW:
            raise NotNow
        _require_done(answer)
        run_id = _run_id(answer.json())
        if not run_id:
            raise BadAnswer("The workspace answered without a runId.")
        return run_id

    def run(self, run_id: str) -> Report:
        """What became of a run. Raises NoSuchRun, Refused, BadAnswer, ServiceFailed or ServiceTimeout."""
        answer = self._service.call("GET", f"/dev/api/runs/{segment(run_id)}")
        if answer.status == _NOT_FOUND:
            raise NoSuchRun
        _require_done(answer)
        return _report(answer.json())


def _require_done(answer: Response) -> None:
    if answer.ok:
        return
    failure: type[ApplicationError] = BadAnswer if answer.status >= _SERVER_ERROR else Refused
    if answer.status in _REFUSED:
        raise Refused("The workspace did not accept our token. Destroy it and create it again if it stays so.")
    raise failure(f"The workspace answered {answer.status}.")


def _run_id(body: object) -> str:
    """The answer's `runId`; "" when there is none that could be asked about."""
    for fields in _levels(body):
        value = fields.get("runId")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.isprintable() and value not in {".", ".."}:
            return value if len(value) <= LONGEST_RUN_ID else ""
    return ""


def _report(body: object) -> Report:
    """The state under one of its usual names and words; every other word means that it still runs."""
    for fields in _levels(body):
        word = next((fields[name] for name in ("status", "state") if isinstance(fields.get(name), str)), None)
        if isinstance(word, str):
            word = word.strip().lower()
            if word in _SUCCEEDED:
                return Report(Outcome.SUCCEEDED)
            if word in _FAILED:
                return Report(Outcome.FAILED, _words(fields) or f"The run ended as “{word}”.")
            return Report(Outcome.RUNNING)
    raise BadAnswer


def _levels(body: object) -> list[Mapping[str, object]]:
    """The object that was answered, and those it may be wrapped in."""
    if not isinstance(body, dict):
        return []
    return [body, *(body[name] for name in ("data", "run") if isinstance(body.get(name), dict))]


def _words(fields: Mapping[str, object]) -> str:
    """What the machine says went wrong, in one line of bounded length."""
    said = fields.get("error")
    if isinstance(said, dict):
        said = said.get("message")
    if not isinstance(said, str):
        return ""
    line = " ".join(said[: 4 * _LONGEST_WORDS].split())
    return "".join(letter for letter in line if letter.isprintable())[:_LONGEST_WORDS]
