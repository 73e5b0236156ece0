"""The secrets of an app: what was set, in which version, and what hosts already see of it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.fly.clock import spelled


@dataclass(frozen=True)
class Secret:
    """One value."""

    value: str
    created_at: datetime
    updated_at: datetime

    @property
    def digest(self) -> str:
        """Give what the API shows instead of the value."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Edition:
    """All values of a version, and when hosts begin to see it."""

    version: int
    values: dict[str, str]
    visible_from: datetime


@dataclass
class Vault:
    """The secrets of one app; the version rises with each change."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    editions: list[Edition] = field(default_factory=list)

    @property
    def version(self) -> int:
        """Give the newest version; 0 before the first."""
        return self.editions[-1].version if self.editions else 0

    def values(self) -> dict[str, str]:
        """Give names with their values."""
        return {name: secret.value for name, secret in self.secrets.items()}

    def change(self, values: dict[str, str | None], *, now: datetime, visible_from: datetime) -> int:
        """Set values and take away those that are None; give the new version."""
        for name, value in values.items():
            if value is None:
                self.secrets.pop(name, None)
            else:
                known = self.secrets.get(name)
                self.secrets[name] = Secret(value, known.created_at if known else now, now)
        self.editions.append(Edition(self.version + 1, self.values(), visible_from))
        return self.version

    def visible(self, *, now: datetime) -> Edition:
        """Give the edition that a host would boot a machine with."""
        seen = [edition for edition in self.editions if edition.visible_from <= now]
        return seen[-1] if seen else Edition(0, {}, now)

    def as_json(self, *, revealed: bool = False) -> list[dict[str, Any]]:
        """List names and digests, with values when they are to be revealed."""
        return [
            {
                "name": name,
                "digest": secret.digest,
                "created_at": spelled(secret.created_at),
                "updated_at": spelled(secret.updated_at),
            }
            | ({"value": secret.value} if revealed else {})
            for name, secret in sorted(self.secrets.items())
        ]
