"""Device logins (RFC 8628): a code that a person types in a browser, and a device code that the tool polls with.

They lie in the table of the CLI's logins, and people decide about both on one page.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from accounts.models import CLILogin, OAuthClient
from accounts.models.tokens import Client
from accounts.services import cli_login
from core.crypto import digest
from core.errors import Unavailable

LIFETIME = timedelta(minutes=10)
INTERVAL = 5
_SLOWER_BY = 5
# As long as the login lasts.
_SLOWEST = 600
# Programs count their seconds less exactly than we do.
_EARLY = timedelta(milliseconds=500)
# Without vowels no code is a word; without Y, and without digits, none looks like another (RFC 8628, section 6.1).
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8

# What a poll learns, in the words of section 3.5.
PENDING, SLOW_DOWN, EXPIRED, DENIED = "authorization_pending", "slow_down", "expired_token", "access_denied"


@dataclass(frozen=True, slots=True)
class StartedDevice:
    """What a tool needs to go on: a code to show, and one to keep."""

    user_code: str
    device_code: str

    def __repr__(self) -> str:
        return "<StartedDevice>"


def start(
    *, client: OAuthClient, scopes: Sequence[str], resource: Sequence[str], caller: Client, now: datetime
) -> StartedDevice:
    """Begin a login of the client's on the device described by `caller`. Raises TooManyRequests."""
    cli_login.spend_start(caller.address or "")
    device_code = secrets.token_urlsafe(32)
    for _attempt in range(5):
        code = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
        try:
            with transaction.atomic():
                row = CLILogin.objects.create(
                    code=code,
                    secret_digest=digest(device_code),
                    client=client,
                    client_name=client.display_name[:100],
                    hostname=caller.hostname,
                    address=caller.address,
                    user_agent=caller.user_agent,
                    scope=" ".join(scopes),
                    resource=list(resource),
                    interval=INTERVAL,
                    created_at=now,
                    expires_at=now + LIFETIME,
                )
        except IntegrityError:
            continue
        return StartedDevice(row.shown_code, device_code)
    raise Unavailable("No code is free right now. Please try again in a moment.", retry_after=1)


@transaction.atomic
def poll(device_code: str, *, client: OAuthClient, now: datetime) -> CLILogin | str | None:
    """What became of a login: itself, to be redeemed right now by this caller alone; else a word of the RFC's.

    None for a code that is unknown, another client's, or redeemed before.
    """
    rows = CLILogin.objects.filter(secret_digest=digest(device_code), client=client)
    row = rows.select_related("decided_by", "organization").first()
    if row is None or row.state == CLILogin.State.COLLECTED:
        return None
    if row.expires_at <= now:
        return EXPIRED
    if row.state == CLILogin.State.DENIED:
        return DENIED
    if row.state == CLILogin.State.PENDING:
        return _wait(row, now)
    approved = CLILogin.objects.filter(pk=row.pk, state=CLILogin.State.APPROVED, expires_at__gt=now)
    # Of many polls at once one gets it; nothing that a poll wrote before can undo an approval.
    return row if approved.update(state=CLILogin.State.COLLECTED) else None


def _wait(row: CLILogin, now: datetime) -> str:
    """Say that nothing is decided; whoever asks too often has to wait longer from then on."""
    too_soon = row.polled_at is not None and now - row.polled_at < timedelta(seconds=row.interval) - _EARLY
    pending = CLILogin.objects.filter(pk=row.pk, state=CLILogin.State.PENDING)
    if too_soon:
        pending.update(polled_at=now, interval=min(row.interval + _SLOWER_BY, _SLOWEST))
        return SLOW_DOWN
    pending.update(polled_at=now)
    return PENDING
