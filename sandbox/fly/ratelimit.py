"""Fly's rate limits: a bucket of tokens per action and per thing acted on.

Source: https://fly.io/docs/machines/api/working-with-machines-api/#rate-limits
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limit:
    """How fast a bucket fills, and how much it holds."""

    per_second: float
    burst: int


USUAL = Limit(1, 3)
_SPECIAL = {"machine_get": Limit(5, 10), "app_delete": Limit(100 / 60, 100)}


@dataclass
class Buckets:
    """What is left of each bucket, and when it was looked at."""

    left: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def take(self, action: str, thing: str, *, now: float) -> bool:
        """Take one token; False when there is none."""
        limit = _SPECIAL.get(action, USUAL)
        count, seen = self.left.get((action, thing), (float(limit.burst), now))
        count = min(limit.burst, count + (now - seen) * limit.per_second)
        allowed = count >= 1
        self.left[action, thing] = (count - 1 if allowed else count, now)
        return allowed
