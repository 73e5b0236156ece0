"""A machine: what Fly remembers of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.fly.clock import spelled
from sandbox.fly.images import image_ref

DESTROYED = "destroyed"
SETTLED = frozenset({"started", "stopped", "suspended", "failed", DESTROYED})
# A suspended machine still has its place in the region; a stopped one has to find room again.
HOLDS_MEMORY = frozenset(
    {"created", "starting", "started", "stopping", "restarting", "replacing", "suspending", "suspended"}
)


@dataclass
class Lease:
    """Who alone may change a machine for now."""

    nonce: str
    expires_at: datetime
    owner: str
    description: str


@dataclass
class Event:
    """Something that happened to a machine."""

    id: str
    type: str
    status: str
    source: str
    timestamp: int
    request: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the event as the API shows it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "status": self.status,
            "source": self.source,
            "timestamp": self.timestamp,
        }
        return shown | ({"request": self.request} if self.request else {})


@dataclass
class Machine:
    """One machine. `turn` rises with each change of its fate, so that what was due before is void."""

    id: str
    app_name: str
    name: str
    region: str
    host: str
    instance_id: str
    private_ip: str
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    state: str = "created"
    turn: int = 0
    versions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    lease: Lease | None = None
    cordoned: bool = False
    host_status: str = "ok"
    active_until: float = 0.0
    hidden_reads: int = 0
    hidden_until: datetime | None = None
    skips_secrets: bool = False
    booted_secrets: dict[str, str] = field(default_factory=dict)
    secrets_version: int = 0

    @property
    def metadata(self) -> dict[str, str]:
        """Give the metadata inside the configuration."""
        found: dict[str, str] = self.config.setdefault("metadata", {})
        return found

    @property
    def memory_mb(self) -> int:
        """Give the memory that it reserves."""
        return int(self.config["guest"]["memory_mb"])

    @property
    def volume_ids(self) -> list[str]:
        """Give the ids of the volumes that it mounts."""
        return [str(mount.get("volume", "")) for mount in self.config.get("mounts") or []]

    def as_json(self, *, summary: bool = False) -> dict[str, Any]:
        """Give the machine as the API shows it; a summary leaves most of the configuration out."""
        shown: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "region": self.region,
            "instance_id": self.instance_id,
            "version": self.instance_id,
            "private_ip": self.private_ip,
            "created_at": spelled(self.created_at),
            "updated_at": spelled(self.updated_at),
            "host_status": self.host_status,
            "cordoned": self.cordoned,
            "image_ref": image_ref(self.config),
        }
        if summary:
            return shown | {"config": self.short_config()}
        return shown | {
            "config": self.config,
            "events": [event.as_json() for event in self.events],
            "checks": self.checks,
        }

    def short_config(self) -> dict[str, Any]:
        """Give the part of the configuration that lists carry."""
        kept = ("image", "guest", "metadata", "mounts", "services")
        return {name: self.config[name] for name in kept if name in self.config}
