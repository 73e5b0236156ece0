"""The CLI's login: a code and a secret, a person's decision in a browser, a token at pick-up.

The token is made when the CLI picks it up, never earlier, so that an approval nobody collects leaves
no token behind. Until the login is over it is kept sealed with a key that only the CLI's secret
yields: a lost answer can be asked for again, and the database alone can't produce it.
"""

import hmac
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import CLILogin, User
from accounts.models.tokens import Client
from accounts.services import access, tokens, users
from core.crypto import Keyring, derived_keyring, digest, random_hex
from core.database import fetch_row
from core.errors import Conflict, Forbidden, NotFound, Unavailable
from core.fields import KeyLost, seal
from core.network_limits import NetworkLimit, SharedLimit
from core.rate_limits import RateLimit

LIFETIME = timedelta(minutes=5)
_CODE_BYTES = 4
_SECRET_BYTES = 16
_CODE = re.compile(r"[0-9a-f]{8}")
_PURPOSE = "crayon cli login token"
# By hand, since every waiting CLI asks this every other second.
_FIND = "SELECT id, secret_digest, state, expires_at FROM accounts_clilogin WHERE code = %s"

# A team behind one address may log many laptops in; a flood of rows from one address must end.
STARTS = NetworkLimit("cli-login-starts", 30, "minute")
# A CLI polls 30 times a minute.
POLLS = RateLimit("cli-login-polls", "120/minute")
# Codes have 32 bits. At these rates, guessing one of 100 live codes takes an address 2 years, and
# everybody together, with both totals, a month on average; seeing a code alone yields nothing but a
# question to deny. Polls and the page are counted apart so that anonymous polls can't shut the page
# for people, and an address has more of the page than a person so that one can't shut it for an office.
WRONG_POLLS = NetworkLimit("cli-login-wrong-polls", 10, "minute")
WRONG_POLLS_OF_ALL = RateLimit("cli-login-wrong-polls-of-all", "500/minute")
WRONG_CODES_OF_PERSON = RateLimit("cli-login-wrong-codes-of-person", "10/minute")
WRONG_CODES = NetworkLimit("cli-login-wrong-codes", 30, "minute")
WRONG_CODES_OF_ALL = RateLimit("cli-login-wrong-codes-of-all", "500/minute")


class WrongSecret(Forbidden):
    """403: the code exists, the secret is another login's."""

    default = "The secret does not belong to this code. Start the login again."


class NoSuchLogin(NotFound):
    """404: the code is unknown, or its time is over."""

    default = "This code is unknown or has expired. Start the login again in your terminal."


class AlreadyDecided(Conflict):
    """409: somebody approved or denied the login before."""

    default = "This login has been decided already."


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """What a CLI needs to go on: show the code, keep the secret."""

    code: str
    secret: str

    def __repr__(self) -> str:
        return "<StartedLogin>"


@dataclass(frozen=True, slots=True)
class LoginStatus:
    """What a poll learns; `token` only with "approved"."""

    status: Literal["pending", "approved", "denied", "expired"]
    token: str = ""

    def __repr__(self) -> str:
        return f"<LoginStatus {self.status}>"


def start(*, client: Client, now: datetime) -> StartedLogin:
    """Begin a login for the tool described by `client`. Raises TooManyRequests."""
    of_all = RateLimit("cli-login-starts-of-all", f"{settings.CLI_LOGIN_STARTS_PER_MINUTE}/minute")
    SharedLimit(STARTS, of_all).spend(client.address or "")
    erase_expired_tokens(now=now)
    secret = random_hex(_SECRET_BYTES)
    for _attempt in range(5):
        code = random_hex(_CODE_BYTES)
        try:
            with transaction.atomic():
                CLILogin.objects.create(
                    code=code,
                    secret_digest=digest(secret),
                    client_name=client.client_name,
                    hostname=client.hostname,
                    address=client.address,
                    user_agent=client.user_agent,
                    created_at=now,
                    expires_at=now + LIFETIME,
                )
        except IntegrityError:
            continue
        return StartedLogin(code=code, secret=secret)
    raise Unavailable("No code is free right now. Please try again in a moment.", retry_after=1)


def find_for_page(*, code: str, user: User, address: str, now: datetime) -> CLILogin:
    """The live login with this code, for `user` at the approval page.

    Raises NoSuchLogin for an unknown or expired code, and TooManyRequests after too many of those.
    """
    by_address, by_person = SharedLimit(WRONG_CODES, WRONG_CODES_OF_ALL), WRONG_CODES_OF_PERSON
    by_person.require_left(str(user.pk))
    by_address.require_left(address)
    code = code.strip().lower()
    login = CLILogin.objects.filter(code=code, expires_at__gt=now).first() if _CODE.fullmatch(code) else None
    if login is None:
        by_person.spend(str(user.pk))
        by_address.spend(address)
        raise NoSuchLogin
    return login


def erase_expired_tokens(*, now: datetime) -> int:
    """Erase the sealed tokens of logins that are over; gives how many. The rows stay until `prune`."""
    return CLILogin.objects.filter(expires_at__lte=now, sealed_token__isnull=False).update(sealed_token=None)


@transaction.atomic
def approve(*, login: CLILogin, user: User, now: datetime) -> None:
    """Let the CLI in as `user`. Of several decisions at once one holds; the others raise AlreadyDecided.

    Raises AccessEnded.
    """
    access.hold(user)
    _decide(login, CLILogin.State.APPROVED, user, now)
    audit.record("cli_login.approved", actor=user, target=login)


@transaction.atomic
def deny(*, login: CLILogin, user: User, now: datetime) -> None:
    """Turn the CLI away. Raises AlreadyDecided."""
    _decide(login, CLILogin.State.DENIED, user, now)
    audit.record("cli_login.denied", actor=user, target=login)


def check(*, code: str, secret: str, address: str, now: datetime) -> LoginStatus:
    """What became of a login; hands the token out while the login is valid.

    An unknown code is "expired", and so is a denied login once a poll has heard of it. Raises WrongSecret, and
    TooManyRequests for hasty polling or for too many wrong guesses.
    """
    row = fetch_row(_FIND, [code])
    if row is None:
        _count_wrong_poll(address)
        return LoginStatus("expired")
    login_id, secret_digest, state, expires_at = row
    if not hmac.compare_digest(bytes(secret_digest), digest(secret)):
        _count_wrong_poll(address)
        raise WrongSecret
    POLLS.spend(str(login_id))
    if expires_at <= now:
        if state == CLILogin.State.COLLECTED:
            CLILogin.objects.filter(pk=login_id, sealed_token__isnull=False).update(sealed_token=None)
        return LoginStatus("expired")
    if state == CLILogin.State.PENDING:
        return LoginStatus("pending")
    if state == CLILogin.State.DENIED:
        return _tell_denial(login_id, now)
    return _collect(CLILogin(pk=login_id), secret, now)


def _decide(login: CLILogin, state: CLILogin.State, user: User, now: datetime) -> None:
    pending = CLILogin.objects.filter(pk=login.pk, state=CLILogin.State.PENDING, expires_at__gt=now)
    if not pending.update(state=state, decided_at=now, decided_by=user):
        raise AlreadyDecided


@transaction.atomic
def _collect(reference: CLILogin, secret: str, now: datetime) -> LoginStatus:
    """Make the token, or open the one that an earlier poll made.

    The conditional update claims the pick-up and holds the row until the token is stored with it, so
    that of many polls at once one makes the token and the others wait for it and read it.
    """
    claimed = CLILogin.objects.filter(pk=reference.pk, state=CLILogin.State.APPROVED, expires_at__gt=now)
    first = claimed.update(state=CLILogin.State.COLLECTED)
    login = CLILogin.objects.select_related("decided_by", "token").filter(pk=reference.pk).first()
    if login is None or login.decided_by is None or not login.decided_by.is_active:
        return _tell_denial(reference.pk, now)
    if first:
        return LoginStatus("approved", _make_token(login, login.decided_by, secret, now))
    if login.sealed_token is None or login.token is None or login.token.revoked_at is not None:
        return LoginStatus("expired")
    try:
        return LoginStatus("approved", login.sealed_token.open(_keyring_of(secret)).decode())
    except KeyLost as error:
        raise WrongSecret from error


def _tell_denial(login_id: uuid.UUID, now: datetime) -> LoginStatus:
    """Answer "denied" to one poll and "expired" to every later one: some tools forget a code on "expired" alone."""
    first = CLILogin.objects.filter(pk=login_id, denial_told_at=None).update(denial_told_at=now)
    return LoginStatus("denied" if first else "expired")


def _make_token(login: CLILogin, user: User, secret: str, now: datetime) -> str:
    organization = users.ensure_personal_organization(user=user)
    row, plain = tokens.issue(user=user, organization=organization, client=login, now=now)
    sealed = seal(login, "sealed_token", plain.encode(), ring=_keyring_of(secret))
    CLILogin.objects.filter(pk=login.pk).update(token=row, sealed_token=sealed)
    audit.record("access_token.issued", actor=user, target=row)
    return plain


def _keyring_of(secret: str) -> Keyring:
    return derived_keyring(secret, purpose=_PURPOSE)


def _count_wrong_poll(address: str) -> None:
    SharedLimit(WRONG_POLLS, WRONG_POLLS_OF_ALL).spend(address)
