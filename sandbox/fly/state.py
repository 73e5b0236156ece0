"""What Fly knows: apps with all that is in them, and tokens."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.fly.clock import Clock, spelled
from sandbox.fly.knobs import Knobs
from sandbox.fly.logs import LogLine
from sandbox.fly.machine import DESTROYED, Machine
from sandbox.fly.ratelimit import Buckets
from sandbox.fly.regions import Room
from sandbox.fly.tokens import ORGANIZATION, Token
from sandbox.fly.vault import Vault
from sandbox.fly.volume import Volume
from sandbox.fly.workflows import WorkflowRun

DEFAULT_FACTOR = 10.0


@dataclass
class Address:
    """An IP address of an app."""

    ip: str
    type: str
    created_at: datetime
    region: str = "global"
    service_name: str = ""
    network: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the address as the API shows it."""
        shown: dict[str, Any] = {
            "ip": self.ip,
            "region": self.region,
            "service_name": self.service_name,
            "shared": self.type == "shared_v4",
            "created_at": spelled(self.created_at),
        }
        return shown | ({"network": self.network} if self.network else {})


@dataclass
class Behaviour:
    """How the program in an app answers; None is as it usually does."""

    status: int | None = None
    delay: float = 0.0
    body: str | None = None
    dev_health: int = 200
    workflows: dict[str, Any] = field(default_factory=dict)
    exec: dict[str, Any] = field(default_factory=dict)


@dataclass
class App:
    """One app. While `deleting`, it is on its way out and takes nothing new."""

    id: str
    number: int
    name: str
    organization: str
    network: str
    created_at: datetime
    role: str = ""
    idempotency_key: str | None = None
    deleting: bool = False
    hidden_reads: int = 0
    hidden_until: datetime | None = None
    machines: dict[str, Machine] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    vault: Vault = field(default_factory=Vault)
    logs: list[LogLine] = field(default_factory=list)
    behaviour: Behaviour = field(default_factory=Behaviour)
    runs: dict[str, WorkflowRun] = field(default_factory=dict)

    @property
    def living(self) -> list[Machine]:
        """Give the machines that are not destroyed, oldest first."""
        return [machine for machine in self.machines.values() if machine.state != DESTROYED]

    @property
    def status(self) -> str:
        """Say whether anything was deployed."""
        return "deployed" if self.living else "pending"

    def as_json(self) -> dict[str, Any]:
        """Give the app as the API shows it."""
        return {
            "id": self.id,
            "internal_numeric_id": self.number,
            "name": self.name,
            "organization": {"name": self.organization.title(), "slug": self.organization, "internal_numeric_id": 1},
            "network": self.network,
            "status": self.status,
            "machine_count": len(self.living),
            "volume_count": sum(not volume.is_gone for volume in self.volumes.values()),
        } | ({"app_role": self.role} if self.role else {})


@dataclass
class Fly:
    """Everything the stand-in for Fly holds."""

    clock: Clock = field(default_factory=lambda: Clock(factor=DEFAULT_FACTOR))
    knobs: Knobs = field(default_factory=Knobs)
    buckets: Buckets = field(default_factory=Buckets)
    apps: dict[str, App] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    last_number: int = 0

    def next_number(self) -> int:
        """Give a number that no app has had."""
        self.last_number += 1
        return self.last_number

    def room(self, region: str) -> Room:
        """Give the room of a region."""
        return self.rooms.setdefault(region, Room())

    def machines_in(self, region: str) -> list[Machine]:
        """Give all machines of a region that are not destroyed."""
        return [machine for app in self.apps.values() for machine in app.living if machine.region == region]

    def later(self, seconds: float) -> datetime | None:
        """Give the moment in so many seconds, or None for none."""
        return self.clock.now() + timedelta(seconds=seconds) if seconds else None

    def forget(self, app: App) -> None:
        """Take an app away, with its tokens; its name is free again."""
        if self.apps.get(app.name) is app:
            del self.apps[app.name]
            self.tokens = {text: token for text, token in self.tokens.items() if token.app != app.name}

    def as_json(self) -> dict[str, Any]:
        """Give all that is held, secrets as they are. What is on its way out with its app is left out."""
        self.clock.settle()
        now = self.clock.now()
        apps = [app for app in self.apps.values() if not app.deleting]
        names = {app.name for app in apps}
        return {
            "apps": {app.name: app.as_json() | _more_of_app(app) for app in apps},
            "machines": {machine.id: _whole(machine, now) for app in apps for machine in app.living},
            "volumes": {
                volume.id: volume.as_json() | {"app": app.name, "host": volume.host}
                for app in apps
                for volume in app.volumes.values()
                if not volume.is_gone
            },
            "ips": {
                address.ip: address.as_json() | {"app": app.name, "type": address.type}
                for app in apps
                for address in app.addresses.values()
            },
            "secrets": {app.name: app.vault.values() for app in apps if app.vault.secrets},
            "tokens": {
                text: {"app": token.app, "expires_at": spelled(token.expires_at)}
                for text, token in self.tokens.items()
                if token.expires_at > now and token.app in names
            },
            "runs": {run.id: run.as_json(now) | {"app": app.name} for app in apps for run in app.runs.values()},
        }


def _more_of_app(app: App) -> dict[str, Any]:
    return {
        "ours": app.organization == ORGANIZATION,
        "created_at": spelled(app.created_at),
        "secrets_version": app.vault.version,
        "idempotency_key": app.idempotency_key,
    }


def _whole(machine: Machine, now: datetime) -> dict[str, Any]:
    return machine.as_json() | {
        "app": machine.app_name,
        "host": machine.host,
        "leased": machine.lease is not None and machine.lease.expires_at > now,
        "secrets": machine.booted_secrets,
        "secrets_version": machine.secrets_version,
    }
