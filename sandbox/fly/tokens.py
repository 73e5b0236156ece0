"""Tokens: the organization's, which is preset, and deploy tokens, each for one app and a while."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

ORGANIZATION = "sandbox"
ORGANIZATION_TOKEN = "sandbox-fly-org-token"
DEPLOY_PREFIX = "sandbox-fly-deploy-"
# What Fly gives a token that nobody limited.
LONGEST = timedelta(days=365 * 20)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_PART = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)(h|ms|m|s)")


@dataclass(frozen=True)
class Token:
    """Who calls. Without an app it is the organization's own."""

    id: str
    expires_at: datetime
    app: str | None = None


def read_duration(text: str) -> timedelta | None:
    """Read a duration as Go spells it, such as `2h` or `1h30m`; None when it is none."""
    if not _DURATION.fullmatch(text):
        return None
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
