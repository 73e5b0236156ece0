"""How machines change: which state follows which, and when.

The seconds are about Fly's own; the clock's factor speeds them up.
Source: https://fly.io/docs/machines/machine-states/
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from sandbox.fly import identifiers
from sandbox.fly.errors import precondition
from sandbox.fly.logs import append
from sandbox.fly.machine import DESTROYED, Event, Machine
from sandbox.fly.placement import refusal
from sandbox.fly.state import App, Fly

_LAUNCH, _BOOT, _PREPARE = 2.0, 8.0, 20.0
_START, _STOP, _STILL_ACTIVE = 3.0, 5.0, 8.0
_SUSPEND, _RESTART, _REPLACE, _DESTROY, _ABANDON = 3.0, 5.0, 8.0, 5.0, 10.0
_MOST_EVENTS = 50
_STARTABLE = frozenset({"stopped", "suspended", "failed"})
_UPDATABLE = _STARTABLE | {"started"}
_DELETABLE = frozenset({"stopped", "suspended", "failed"})


class Lifecycle:
    """The changes of one machine."""

    def __init__(self, fly: Fly, app: App, machine: Machine) -> None:
        """Take the machine and what it lives in."""
        self.fly, self.app, self.machine = fly, app, machine

    def create(self, *, launch: bool) -> None:
        """Begin: launched machines end up started, the others stopped, once their image is prepared."""
        self._turn("created", "launch")
        if not launch:
            self._after(_PREPARE, partial(self._enter, "stopped", "launch", source="flyd"))
            return
        failing = self.fly.knobs.failing_launches > 0
        self.fly.knobs.failing_launches -= failing
        self._after(_LAUNCH, self._fail_to_launch if failing else partial(self._boot, _BOOT, "start"))

    def start(self) -> None:
        """Start a machine at rest. Raises FlyError."""
        machine = self.machine
        if machine.state == "started":
            return
        if machine.state in ("replacing", "updating"):
            raise precondition("machine getting replaced, refusing to start")
        if machine.state == "stopping" or self.fly.clock.pace() < machine.active_until:
            raise precondition("machine still active, refusing to start")
        if machine.state not in _STARTABLE:
            raise precondition(f"unable to start machine from current state: '{machine.state}'")
        problem = refusal(self.fly, region=machine.region, memory=machine.memory_mb, but=machine)
        if problem is not None:
            raise problem
        machine.turn += 1
        self._boot(_START, "start", source="user")

    def stop(self) -> None:
        """Stop a running machine; one at rest stays so. Raises FlyError."""
        state = self.machine.state
        if state in ("stopped", "stopping"):
            return
        if state == "suspended":
            self._turn("stopped", "stop")
        elif state in ("started", "starting", "restarting"):
            self._log("Sending signal SIGINT to main child process", provider="runner")
            self._turn("stopping", "stop")
            self._after(_STOP, self._stopped)
        else:
            raise precondition(f"unable to stop machine from current state: '{state}'")

    def suspend(self) -> None:
        """Suspend a running machine. Raises FlyError."""
        if self.machine.state == "suspended":
            return
        if self.machine.state != "started":
            raise precondition(f"unable to suspend machine from current state: '{self.machine.state}'")
        self._turn("suspending", "suspend")
        self._after(_SUSPEND, partial(self._enter, "suspended", "suspend", source="flyd"))

    def restart(self) -> None:
        """Restart a machine; one at rest starts. Raises FlyError."""
        if self.machine.state not in _UPDATABLE:
            raise precondition(f"unable to restart machine from current state: '{self.machine.state}'")
        self._turn("restarting", "restart")
        self._after(_RESTART, partial(self._boot, _START, "start"))

    def need_updatable(self) -> None:
        """Refuse an update while something else goes on. Raises FlyError."""
        if self.machine.state not in _UPDATABLE:
            raise precondition(f"unable to update machine from current state: '{self.machine.state}'")

    def update(self, config: dict[str, Any], *, launch: bool) -> None:
        """Replace the configuration; a running machine boots again, one at rest stays so."""
        machine = self.machine
        runs = machine.state in ("started", "failed") and launch
        machine.config = config
        machine.instance_id = identifiers.ulid()
        machine.versions.append((machine.instance_id, copy.deepcopy(config)))
        self._turn("replacing", "update")
        if runs:
            self._after(_REPLACE, partial(self._boot, _START, "start"))
        else:
            self._after(_REPLACE, partial(self._enter, "stopped", "update", source="flyd"))

    def exit(self, code: int, *, oom: bool = False) -> None:
        """Let the program end by itself; what follows is up to the restart policy."""
        policy = str(self.machine.config.get("restart", {}).get("policy", "on-failure"))
        again = policy == "always" or (policy == "on-failure" and code != 0)
        self._log(f"Main child exited normally with code: {code}", provider="runner")
        self._turn("restarting" if again else "stopped", "exit", exit_event=_exit_event(code, oom, restarting=again))
        if again:
            self._after(_RESTART, partial(self._boot, _START, "start"))
        elif self.machine.config.get("auto_destroy"):
            self.destroy(force=True)

    def force(self, state: str) -> None:
        """Put a machine into a state, as a failure of the platform would."""
        if state == DESTROYED:
            self.machine.turn += 1
            self._destroyed()
        else:
            self._turn(state, "platform")

    def destroy(self, *, force: bool) -> None:
        """Destroy a machine; until it is gone, its volume stays bound. Raises FlyError."""
        if self.machine.state == "destroying":
            return
        if self.machine.state not in _DELETABLE and not force:
            raise precondition(f"unable to destroy machine from current state: '{self.machine.state}'")
        self._turn("destroying", "destroy")
        self._after(_DESTROY, self._destroyed)

    def _boot(self, seconds: float, kind: str, *, source: str = "flyd") -> None:
        """Go through `starting`; the secrets that are visible now are the ones it runs with."""
        machine = self.machine
        self._enter("starting", kind, source=source)
        if not machine.skips_secrets:
            edition = self.app.vault.visible(now=self.fly.clock.now())
            machine.booted_secrets, machine.secrets_version = dict(edition.values), edition.version
        self._log(f"Pulling container image {machine.config.get('image', '')}", provider="runner")
        self._after(seconds, self._started)

    def _started(self) -> None:
        self._enter("started", "start", source="flyd")
        self.machine.checks = _passing_checks(self.machine.config, at=self.machine.as_json()["updated_at"])
        self._log("Starting machine", provider="runner")
        self._log(f"Listening on http://0.0.0.0:{_port(self.machine.config)}")

    def _stopped(self) -> None:
        self._enter("stopped", "exit", source="flyd", exit_event=_exit_event(0, oom=False, requested=True))
        self.machine.active_until = self.fly.clock.pace() + _STILL_ACTIVE
        self._log("Main child exited normally with code: 0", provider="runner")

    def _fail_to_launch(self) -> None:
        self._enter("launch_failed", "launch", source="flyd")
        self._log("failed to launch VM", provider="runner", level="error")
        self._after(_ABANDON, self._destroyed)

    def _destroyed(self) -> None:
        self._enter(DESTROYED, "destroy", source="flyd")
        self.machine.lease = None
        detach(self.app, self.machine)

    def _turn(self, state: str, kind: str, *, exit_event: dict[str, Any] | None = None) -> None:
        """Begin another fate: what was due before no longer happens."""
        self.machine.turn += 1
        self._enter(state, kind, source="user", exit_event=exit_event)

    def _enter(self, state: str, kind: str, *, source: str, exit_event: dict[str, Any] | None = None) -> None:
        machine, now = self.machine, self.fly.clock.now()
        machine.state, machine.updated_at = state, now
        request = {"exit_event": exit_event, "restart_count": 0} if exit_event else None
        stamp = int(now.timestamp() * 1000)
        machine.events.insert(0, Event(identifiers.ulid(), kind, state, source, stamp, request))
        del machine.events[_MOST_EVENTS:]

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self.fly.clock.after(seconds, partial(self._unless_turned, self.machine.turn, act))

    def _unless_turned(self, turn: int, act: Callable[[], None]) -> None:
        if self.machine.turn == turn:
            act()

    def _log(self, message: str, *, provider: str = "app", level: str = "info") -> None:
        machine, now = self.machine, self.fly.clock.now()
        place = {"instance": machine.id, "region": machine.region}
        append(self.app.logs, message, now=now, provider=provider, level=level, **place)


def attach(app: App, machine: Machine) -> None:
    """Bind the volumes of the configuration, and let go of all others."""
    detach(app, machine)
    for volume_id in machine.volume_ids:
        app.volumes[volume_id].attached_machine_id = machine.id


def detach(app: App, machine: Machine) -> None:
    """Let go of all volumes."""
    for volume in app.volumes.values():
        if volume.attached_machine_id == machine.id:
            volume.attached_machine_id = None


def _exit_event(code: int, oom: bool, *, restarting: bool = False, requested: bool = False) -> dict[str, Any]:  # noqa: FBT001 - as the event has it
    return {"exit_code": code, "oom_killed": oom, "requested_stop": requested, "restarting": restarting}


def _passing_checks(config: dict[str, Any], *, at: str) -> list[dict[str, Any]]:
    names = list(config.get("checks") or {})
    for number, service in enumerate(config.get("services") or []):
        names += [f"servicecheck-{number:02}-{place}" for place, _ in enumerate(service.get("checks") or [])]
    return [{"name": name, "status": "passing", "output": "", "updated_at": at} for name in names]


def _port(config: dict[str, Any]) -> int:
    services = config.get("services") or []
    return int(services[0].get("internal_port", 8080)) if services else 8080
