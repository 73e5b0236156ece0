"""What opens a machine: its SSH key, and tokens that it verifies by itself."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.models import User
from accounts.services.access import LetIn
from clouddev.machine_tokens import LIFETIME, LIFETIMES, Signer, Use
from clouddev.models import Machine, MachineToken, Member, WebhookToken
from clouddev.names import is_fly_name
from clouddev.services.access import NoSuchMachine
from clouddev.services.power import require_ready, require_there
from clouddev.services.provisioning.machine_config import SSH_PORT
from core.errors import Conflict, Malformed, NotFound
from core.network_limits import NetworkLimit
from core.rate_limits import RateLimit

USUAL_LIFETIME = "30d"
_MOST_SHOWN = 100
WEBHOOK_TOKENS = RateLimit("webhook-tokens", "30/minute")
LOOKS = NetworkLimit("revoked-tokens", 120, "minute")
# How long a machine may go by what it was told.
REVOKED_KEPT_SECONDS = 60
AFTER_REVOCATION = (
    "A revoked token is on a public list. A workspace that asks for the list refuses it within a minute; any other "
    "takes it until it expires."
)
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


class AlreadyRevoked(Conflict):
    """409: the token is revoked, or over."""

    default = "This token is revoked already."


class NoSuchToken(NotFound):
    """404: no such token of this machine."""

    default = "This workspace has no such token."


@dataclass(frozen=True, slots=True)
class SSHAccess:
    """How to get in by SSH."""

    linux_user: str
    host: str
    private_key: str = field(repr=False)
    port: int = SSH_PORT


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and when it ends."""

    expires_at: datetime
    token: str = field(repr=False)


def ssh_access(*, machine: Machine, now: datetime, actor: audit.Actor | None = None) -> SSHAccess:
    """The machine's key, with an audit row; all members come in as the one user whose home it has. Raises NotReady."""
    require_there(machine)
    _note_use(machine, now)
    private_key = machine.sealed_ssh_key.open().decode()
    record_fetched("ssh_key.fetched", machine, actor)
    return SSHAccess(linux_user=machine.dev_user, host=_host(machine), private_key=private_key)


def mcp_token(*, machine: Machine, person: LetIn, actor: audit.Actor, now: datetime) -> str:
    """A dev-UI token in the name of the member's user on the machine, for a day. Raises NotReady."""
    require_there(machine)
    return _for_a_day(machine, person, actor, use=Use.MCP, now=now)


def browser_token(*, machine: Machine, person: User, login: str, now: datetime) -> str:
    """A dev-UI token in the name of the person's GitHub login, for a day.

    Raises NotReady, also while the machine is being made: nothing would answer the browser yet.
    """
    require_ready(machine)
    return _for_a_day(machine, person, person, login=login, use=Use.BROWSER, now=now)


def issue_webhook_token(
    *, machine: Machine, person: LetIn, actor: audit.Actor, expires_in: str, now: datetime
) -> IssuedToken:
    """A token for whoever calls the machine's webhooks; `expires_in` is one of the contract's words. Kept by its id.

    Raises Malformed, NotReady and TooManyRequests.
    """
    if expires_in not in LIFETIMES:
        raise Malformed(f"expiresIn: Say one of {', '.join(LIFETIMES)}.")
    require_there(machine)
    WEBHOOK_TOKENS.spend(str(person.id))
    _note_use(machine, now)
    # A token's times are whole seconds.
    now, lifetime = now.replace(microsecond=0), LIFETIMES[expires_in]
    signer = Signer.from_settings()
    with transaction.atomic():
        member = _held(machine, person)
        row = WebhookToken.objects.create(
            machine=machine, made_by_id=person.id, created_at=now, expires_at=now + lifetime
        )
        audit.record(
            "webhook_token.issued", actor=actor, target=row,
            details={"app": machine.app_name, "expires_in": expires_in},
        )  # fmt: skip
    token = signer.sign(
        user_id=person.id,
        app=machine.fly_app_id,
        login=member.linux_user,
        use=Use.WEBHOOK,
        now=now,
        lifetime=lifetime,
        jti=row.pk,
    )
    return IssuedToken(expires_at=row.expires_at, token=token)


def webhook_tokens(*, machine: Machine, now: datetime) -> list[WebhookToken]:
    """The machine's tokens that work and those that were revoked before their time, newest first."""
    return list(machine.webhook_tokens.filter(expires_at__gt=now).select_related("made_by")[:_MOST_SHOWN])


def require_webhook_token(*, machine: Machine, jti: uuid.UUID) -> None:
    """Raise NoSuchToken unless it was given out for this machine."""
    if not machine.webhook_tokens.filter(pk=jti).exists():
        raise NoSuchToken


def revoke_webhook_token(*, jti: uuid.UUID, actor: audit.Actor, now: datetime) -> None:
    """Put a token on the revocation list. Raises AlreadyRevoked."""
    with transaction.atomic():
        if not WebhookToken.objects.filter(pk=jti, revoked_at=None, expires_at__gt=now).update(revoked_at=now):
            raise AlreadyRevoked
        token = WebhookToken.objects.select_related("machine").get(pk=jti)
        audit.record("webhook_token.revoked", actor=actor, target=token, details={"app": token.machine.app_name})


def revoked_tokens(*, fly_name: str, address: str, now: datetime) -> list[uuid.UUID]:
    """The `jti` of each token of the machine with this name at Fly that was revoked and hasn't expired.

    For everybody, since an id opens nothing; no such machine has none. Raises TooManyRequests.
    """
    LOOKS.spend(address)
    if not is_fly_name(fly_name):
        return []
    revoked = Q(machine__fly_app_id=fly_name, revoked_at__isnull=False, expires_at__gt=now)
    kinds = (WebhookToken.objects.filter(revoked), MachineToken.objects.filter(revoked))
    return [jti for kind in kinds for jti in kind.order_by("expires_at", "pk").values_list("pk", flat=True)]


def forget_over(*, now: datetime) -> int:
    """Delete the rows of dev-UI and MCP tokens that have expired; says how many."""
    return MachineToken.objects.filter(expires_at__lte=now).delete()[0]


def record_fetched(action: str, machine: Machine, actor: audit.Actor | None) -> None:
    """Write down that somebody was given what opens the machine."""
    audit.record(action, actor=actor, target=machine, details={"app": machine.app_name})


def _for_a_day(  # noqa: PLR0913 - a token says this much
    machine: Machine, person: LetIn, actor: audit.Actor, *, use: Use, now: datetime, login: str = ""
) -> str:
    """A token for the machine, whose id is kept so that it can end before; `login` is the member's user there."""
    signer = Signer.from_settings()
    _note_use(machine, now)
    # Nothing is around it, so there is no savepoint to go back to.
    with transaction.atomic(savepoint=False):
        member = _held(machine, person)
        row = MachineToken.objects.create(machine=machine, user_id=person.id, expires_at=now + LIFETIME)
        if use is Use.MCP:
            # Opening the dev UI is looking, and leaves none.
            record_fetched("mcp_token.issued", machine, actor)
    login = login or member.linux_user
    return signer.sign(user_id=person.id, app=machine.fly_app_id, login=login, use=use, now=now, jti=row.pk)


def _held(machine: Machine, person: LetIn) -> Member:
    """Give the person's membership, locked with the person's row until the transaction ends.

    So no token is made by somebody whose access ends meanwhile (`accounts.services.access`). Raises NoSuchMachine.
    """
    own = machine.members.filter(
        user_id=person.id, user__is_active=True, user__access_epoch=person.access_epoch
    ).select_related("user")
    # PostgreSQL locks in this order, which is that of whoever makes the person another kind of member.
    member = own.select_for_update(of=("user", "self"), no_key=True).first()
    if member is None:
        raise NoSuchMachine
    return member


def _note_use(machine: Machine, now: datetime) -> None:
    """At most once a minute, so that asking for tokens is mostly reading."""
    is_old = Q(last_active_at=None) | Q(last_active_at__lt=now - _USE_IS_NOTED_EVERY) | Q(warned_at__isnull=False)
    Machine.objects.filter(is_old, pk=machine.pk).update(last_active_at=now, warned_at=None)


def _host(machine: Machine) -> str:
    """The name that SSH connects to."""
    return urlsplit(machine.url).hostname or ""
