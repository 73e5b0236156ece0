"""A volume: what Fly remembers of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.fly.clock import spelled

LEAVING = frozenset(
    {"scheduling_destroy", "pending_destroy", "waiting_for_detach", "fork_cleanup", "destroying", "destroyed"}
)


@dataclass
class Volume:
    """One volume. It lives on one host, and so does the machine that mounts it."""

    id: str
    name: str
    region: str
    host: str
    zone: str
    size_gb: int
    created_at: datetime
    encrypted: bool = True
    fstype: str = "ext4"
    snapshot_retention: int = 5
    auto_backup_enabled: bool = True
    has_hint: bool = False
    state: str = "created"
    attached_machine_id: str | None = None
    stale_reads: int = 0
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_gone(self) -> bool:
        """Say whether it is destroyed, or as good as that."""
        return self.state in LEAVING

    def as_json(self, *, state: str | None = None) -> dict[str, Any]:
        """Give the volume as the API shows it, in another state when it is said."""
        return {
            "id": self.id,
            "name": self.name,
            "state": state or self.state,
            "size_gb": self.size_gb,
            "region": self.region,
            "zone": self.zone,
            "encrypted": self.encrypted,
            "fstype": self.fstype,
            "attached_machine_id": self.attached_machine_id,
            "attached_alloc_id": None,
            "created_at": spelled(self.created_at),
            "snapshot_retention": self.snapshot_retention,
            "auto_backup_enabled": self.auto_backup_enabled,
            "host_status": "ok",
        }
