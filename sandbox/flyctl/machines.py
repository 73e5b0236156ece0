"""Makes or changes the machines of an app, as the second half of `flyctl deploy` does."""

import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.flyctl.api import FlyAPI, Refused
from sandbox.flyctl.console import Failed, Interrupted, out

_VISIBLE_WITHIN_SECONDS = 5
_LEASE_WITHIN_SECONDS = 20
_SETTLED_WITHIN_SECONDS = 60
_WAIT_SECONDS = 300
_LEASE_TTL = 13
_REFRESH_SECONDS = 4
_UNAUTHENTICATED, _ABSENT, _TIMEOUT, _CONFLICT, _PRECONDITION = 401, 404, 408, 409, 412
_AT_REST = {"stopped", "suspended"}
Result = TypeVar("Result")


class Machines:
    """The machines of one app that deployments look after; with a lease on those that are being changed."""

    def __init__(self, api: FlyAPI, app: str, secrets_version: int | None) -> None:
        self._api = api
        self._app = app
        self._secrets = {} if secrets_version is None else {"min_secrets_version": secrets_version}
        self._leases: dict[str, str] = {}

    def require_app(self) -> None:
        """Wait until the app is visible, which may take a while after it was made."""
        try:
            _repeat(
                lambda: self._api.ask("GET", f"/apps/{self._app}"), {_UNAUTHENTICATED, _ABSENT}, _VISIBLE_WITHIN_SECONDS
            )
        except Refused as error:
            if error.status == _ABSENT:
                raise Failed(f'Could not find App "{self._app}"') from error
            raise Failed(f"failed to get app: {error}") from error

    def managed(self) -> list[dict[str, Any]]:
        """List the machines that carry the marks of flyctl."""
        listed = self._api.ask("GET", f"/apps/{self._app}/machines")
        return [
            machine
            for machine in listed or []
            if machine.get("state") not in {"destroyed", "destroying"}
            and (machine.get("config") or {}).get("metadata", {}).get("fly_platform_version") == "v2"
        ]

    def deploy(self, config: dict[str, Any], *, region: str | None, count: int) -> None:
        """Bring the config to the app's machines; makes `count` where there are none. Raises Failed."""
        try:
            found = self.managed()
            if found:
                self._update_all(found, config)
            else:
                self._create_all(config, region, count)
        except Interrupted:
            self._release_all()
            raise
        except Refused as error:
            raise Failed(f"failed to update machines: {error}") from error
        finally:
            self._release_all()

    def _create_all(self, config: dict[str, Any], region: str | None, count: int) -> None:
        for position in range(1, count + 1):
            out("No machines in group app, launching a new machine")
            body = {
                "name": f"app-{uuid.uuid4().hex[:10]}",
                "config": config,
                "lease_ttl": _WAIT_SECONDS,
                **({"region": region} if region else {}),
                **self._secrets,
            }
            machine = _repeat(
                lambda body=body: self._api.ask("POST", self._path(), body),  # type: ignore[misc]
                {_PRECONDITION},
                _SETTLED_WITHIN_SECONDS,
            )
            if machine.get("nonce"):
                self._leases[machine["id"]] = machine["nonce"]
            self._await_started(machine, f"[{position}/{count}]")
        out("Finished launching new machines")

    def _update_all(self, machines: list[dict[str, Any]], config: dict[str, Any]) -> None:
        out(f"Updating existing machines in '{self._app}' with rolling strategy")
        for position, machine in enumerate(machines, start=1):
            place = f"[{position}/{len(machines)}]"
            name = machine["id"]
            out(f"> {place} Acquiring lease for {name}")
            self._lease(name)
            out(f"> {place} Updating {name} [app]")
            body = {"config": config, **self._secrets}
            changed = _repeat(
                lambda name=name, body=body: self._api.ask(  # type: ignore[misc]
                    "POST", self._path(name), body, nonce=self._leases[name]
                ),
                {_PRECONDITION},
                _SETTLED_WITHIN_SECONDS,
            )
            if machine.get("state") in _AT_REST:
                out(f"✔ {place} Machine {name} [app] update succeeded, it stays {machine['state']}")
            else:
                self._await_started(changed, place)

    def _await_started(self, machine: dict[str, Any], place: str) -> None:
        name = machine["id"]
        out(f"> {place} Waiting for {name} [app] to have state: started")
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            query = {"state": "started", "timeout": _REFRESH_SECONDS}
            if machine.get("instance_id"):
                query["version"] = machine["instance_id"]
            try:
                self._api.ask("GET", f"{self._path(name)}/wait", query=query)
                break
            except Refused as error:
                if error.status not in {_TIMEOUT, _ABSENT} or time.monotonic() > until:
                    raise Failed(f"failed to wait for machine {name} to start: {error}") from error
            self._refresh(name)
        out(f"> {place} Checking health of machine {name}")
        out(f"Waiting for {name} to become healthy: 1/1")
        out(f"✔ {place} Machine {name} [app] update succeeded")

    def _lease(self, name: str) -> None:
        body = {"ttl": _LEASE_TTL, "description": "deploy"}
        answer = _repeat(
            lambda: self._api.ask("POST", f"{self._path(name)}/lease", body, query={"ttl": _LEASE_TTL}),
            {_CONFLICT},
            _LEASE_WITHIN_SECONDS,
        )
        self._leases[name] = str((answer.get("data") or answer)["nonce"])

    def _refresh(self, name: str) -> None:
        if nonce := self._leases.get(name):
            body = {"ttl": _LEASE_TTL, "description": "deploy"}
            with contextlib.suppress(Failed):
                self._api.ask("POST", f"{self._path(name)}/lease", body, nonce=nonce, query={"ttl": _LEASE_TTL})

    def _release_all(self) -> None:
        while self._leases:
            name, nonce = self._leases.popitem()
            with contextlib.suppress(Failed):
                self._api.ask("DELETE", f"{self._path(name)}/lease", nonce=nonce)

    def _path(self, machine: str = "") -> str:
        return f"/apps/{self._app}/machines{f'/{machine}' if machine else ''}"


def _repeat(call: Callable[[], Result], statuses: set[int], seconds: float) -> Result:
    """Give the call's result; while it is refused with one of the statuses, ask again for so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Refused as error:
            if error.status not in statuses or time.monotonic() > until:
                raise
        time.sleep(0.3)
