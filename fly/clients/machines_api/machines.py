"""The calls about machines."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from core.http_client import Response, segment
from fly.clients.machines_api import responses, types
from fly.clients.machines_api.errors import UnknownApp, UnknownMachine
from fly.clients.machines_api.transport import Calls, app_path

_PAGE_SIZE = 1000
_LONGEST_WAIT = timedelta(seconds=60)


class MachineCalls(Calls):
    """Machines of an app, and of the whole organization."""

    # https://docs.machines.dev/#tag/machines/get/apps/{app_name}/machines
    def list_machines(self, app: str) -> tuple[types.Machine, ...]:
        """The app's machines, without destroyed ones. Raises UnknownApp."""
        answer = self._call("GET", app_path(app, "machines"), app=app)
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.machines)

    # https://docs.machines.dev/#tag/machines/get/orgs/{org_slug}/machines
    def pages_of_machines(self) -> Iterator[types.MachinePage]:
        """The organization's machines, page by page as they are asked for."""
        query = [("limit", str(_PAGE_SIZE))]
        cursor, seen = "", set[str]()
        while True:
            answer = self._call(
                "GET",
                f"/v1/orgs/{segment(self.org)}/machines",
                query=[*query, ("cursor", cursor)] if cursor else query,
            )
            if not answer.ok:
                raise responses.failure(answer)
            page = responses.read(answer, types.page_of_organization)
            yield page
            cursor = page.next_cursor
            if not cursor or cursor in seen:
                return
            seen.add(cursor)

    # https://docs.machines.dev/#tag/machines/post/apps/{app_name}/machines
    def create_machine(
        self,
        app: str,
        *,
        name: str,
        region: str,
        config: Mapping[str, object],
        min_secrets_version: int | None = None,
    ) -> types.Machine:
        """Make a machine, usually `created` at first. `region` may list several, the first with room is taken.

        After a cut connection look for its name before asking again. Raises InsufficientCapacity,
        QuotaExceeded, PreconditionFailed, UnknownApp.
        """
        body: dict[str, object] = {"name": name, "region": region, "config": dict(config)}
        if min_secrets_version is not None:
            body["min_secrets_version"] = min_secrets_version
        answer = self._call("POST", app_path(app, "machines"), app=app, json=body)
        if not answer.ok:
            raise responses.failure(answer, missing=UnknownApp)
        return responses.read(answer, types.machine)

    # https://docs.machines.dev/#tag/machines/get/apps/{app_name}/machines/{machine_id}
    def get_machine(self, app: str, machine_id: str) -> types.Machine:
        """One machine. Raises UnknownMachine."""
        return self._machine(self._call("GET", app_path(app, "machines", machine_id), app=app))

    # https://docs.machines.dev/#tag/machines/post/apps/{app_name}/machines/{machine_id}/start
    def start_machine(self, app: str, machine_id: str) -> None:
        """Start a stopped or suspended machine.

        Raises UnknownMachine, InsufficientCapacity, LeaseHeld; and PreconditionFailed while its image is
        prepared (STATE) or just after it stopped (STILL_ACTIVE).
        """
        path = app_path(app, "machines", machine_id, "start")
        self._require_done(self._call("POST", path, app=app, json={}))

    # https://docs.machines.dev/#tag/machines/post/apps/{app_name}/machines/{machine_id}/stop
    def stop_machine(self, app: str, machine_id: str) -> None:
        """Stop a machine; stopping a stopped one is fine. Raises UnknownMachine, LeaseHeld, PreconditionFailed."""
        path = app_path(app, "machines", machine_id, "stop")
        self._require_done(self._call("POST", path, app=app, json={}, repeatable=True))

    # https://docs.machines.dev/#tag/machines/get/apps/{app_name}/machines/{machine_id}/wait
    def wait_for_machine(self, app: str, machine_id: str, *, state: str, timeout: timedelta = _LONGEST_WAIT) -> bool:
        """Wait up to a minute until the machine is `state` (not `stopped`); says whether it is.

        For jobs only: it keeps its thread. Raises UnknownMachine.
        """
        seconds = min(max(int(timeout.total_seconds()), 1), int(_LONGEST_WAIT.total_seconds()))
        query = [("state", state), ("timeout", str(seconds))]
        answer = self._call("GET", app_path(app, "machines", machine_id, "wait"), app=app, query=query, wait=True)
        if answer.status == responses.REQUEST_TIMEOUT:
            return False
        self._require_done(answer)
        return True

    def _machine(self, answer: Response) -> types.Machine:
        if not answer.ok:
            raise responses.failure(answer, missing=UnknownMachine)
        return responses.read(answer, types.machine)

    def _require_done(self, answer: Response) -> None:
        if not answer.ok:
            raise responses.failure(answer, missing=UnknownMachine)
        responses.read(answer, types.done)
