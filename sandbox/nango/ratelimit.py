"""Nango's rate limit: so many requests per account in a fixed window of 60 seconds."""

import math
import time
from dataclasses import dataclass, field

WINDOW_SECONDS = 60


@dataclass
class Window:
    """One running window of one bucket."""

    ends_at: float
    count: int = 0


@dataclass(frozen=True)
class Verdict:
    """What the limiter says of one request. `headers` go out with the answer in any case."""

    allowed: bool
    headers: dict[str, str]


@dataclass
class RateLimiter:
    """Counts per bucket: all API keys of the account share one, session tokens another."""

    windows: dict[str, Window] = field(default_factory=dict)

    def count(self, bucket: str, *, limit: int | None) -> Verdict:
        """Count one request; without a limit everything passes and no headers are sent."""
        if limit is None:
            return Verdict(allowed=True, headers={})
        now = time.time()
        window = self.windows.get(bucket)
        if window is None or window.ends_at <= now:
            window = self.windows[bucket] = Window(ends_at=now + WINDOW_SECONDS)
        window.count += 1
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - window.count, 0)),
            "X-RateLimit-Reset": str(math.ceil(window.ends_at)),
        }
        if window.count > limit:
            # Floored, so that it may be 0 at the end of a window, as the real one.
            headers["Retry-After"] = str(math.floor(window.ends_at - now))
            return Verdict(allowed=False, headers=headers)
        return Verdict(allowed=True, headers=headers)
