"""The CLI's login: a code and a secret, a person's decision in a browser, a token at pick-up.

The token is made when the CLI picks it up, never earlier, so that an approval nobody collects leaves
no token behind. Until the login is over it is kept sealed with a key that only the CLI's secret
yields: a lost answer can be asked for again, and the database alone can't produce it.
"""

import base64
import hmac
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import CLILogin, Organization, User
from accounts.models.tokens import Client
from accounts.services import access, tokens, users
from core.crypto import Keyring, derived_keyring, digest, random_hex
from core.database import fetch_row
from core.errors import Conflict, Forbidden, NotFound, Unavailable
from core.fields import KeyLost, seal
from core.network_limits import NetworkLimit, SharedLimit
from core.rate_limits import RateLimit

LIFETIME = timedelta(minutes=5)
_LONGEST_TYPED = 40
_CODE_BYTES = 4
_SECRET_BYTES = 16
_CODE = re.compile(r"[0-9a-f]{8}|[BCDFGHJKLMNPQRSTVWXZ]{8}")
_BETWEEN = re.compile(r"[\s\-._\u2010-\u2015]+")
_PURPOSE = "crayon cli login token"
# By hand, since every waiting CLI asks this every other second.
# A device's code and secret are brought elsewhere, for other tokens (`accounts.oauth.devices`).
_FIND = """
SELECT id, secret_digest, state, expires_at, code_challenge FROM accounts_clilogin
 WHERE code = %s AND client_id IS NULL
"""

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


class WrongVerifier(Forbidden):
    """403: the login was begun with a challenge, and this is not what it was made from."""

    default = "The verifier does not belong to this login. Start the login again."


class NotTyped(Forbidden):
    """403: whoever approves from another network has to show that they see the tool's code."""

    default = "This is not the code. Type the one that your terminal shows right now, or choose Deny."


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


def spend_start(address: str) -> None:
    """Count a login that is begun. Raises TooManyRequests."""
    of_all = RateLimit("cli-login-starts-of-all", f"{settings.CLI_LOGIN_STARTS_PER_MINUTE}/minute")
    SharedLimit(STARTS, of_all).spend(address)


def start(*, client: Client, now: datetime, code_challenge: str = "") -> StartedLogin:
    """Begin a login for the tool described by `client`. Raises TooManyRequests.

    With a `code_challenge` (S256, RFC 7636) the token is only handed to whoever brings what it was made from.
    """
    spend_start(client.address or "")
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
                    code_challenge=code_challenge,
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
    live = CLILogin.objects.filter(code__in=spellings(code), expires_at__gt=now)
    login = live.select_related("client").order_by("-created_at", "-pk").first()
    if login is None:
        by_person.spend(str(user.pk))
        by_address.spend(address)
        raise NoSuchLogin
    return login


def spellings(typed: str) -> list[str]:
    """The codes that somebody may mean who typed this: with or without a dash or spaces, in any case."""
    plain = _BETWEEN.sub("", typed) if len(typed) <= _LONGEST_TYPED else ""
    return [code for code in (plain.lower(), plain.upper()) if _CODE.fullmatch(code)]


def require_typed(*, login: CLILogin, typed: str) -> None:
    """Raise NotTyped unless `typed` is the login's code."""
    if login.code not in spellings(typed):
        raise NotTyped


def erase_expired_tokens(*, now: datetime) -> int:
    """Erase the sealed tokens of logins that are over; gives how many. The rows stay until `prune`."""
    return CLILogin.objects.filter(expires_at__lte=now, sealed_token__isnull=False).update(sealed_token=None)


@transaction.atomic
def approve(*, login: CLILogin, user: User, now: datetime, organization: Organization | None = None) -> None:
    """Let the tool in as `user`. Of several decisions at once one holds; the others raise AlreadyDecided.

    A device acts in `organization`, by default in the person's own. Raises AccessEnded.
    """
    access.hold(user)
    facts = {}
    if login.client_id:
        chosen = organization or users.ensure_personal_organization(user=user)
        facts = {"organization": chosen, "access_epoch": user.access_epoch}
    _decide(login, CLILogin.State.APPROVED, user, now, **facts)
    audit.record("cli_login.approved", actor=user, target=login)


@transaction.atomic
def deny(*, login: CLILogin, user: User, now: datetime) -> None:
    """Turn the CLI away. Raises AlreadyDecided."""
    _decide(login, CLILogin.State.DENIED, user, now)
    audit.record("cli_login.denied", actor=user, target=login)


def check(*, code: str, secret: str, address: str, now: datetime, code_verifier: str = "") -> LoginStatus:
    """What became of a login; hands the token out while the login is valid.

    An unknown code is "expired", and so is a denied login once a poll has heard of it. Raises WrongSecret,
    WrongVerifier, and TooManyRequests for hasty polling or for too many wrong guesses.
    """
    row = fetch_row(_FIND, [code])
    if row is None:
        _count_wrong_poll(address)
        return LoginStatus("expired")
    login_id, secret_digest, state, expires_at, challenge = row
    if not hmac.compare_digest(bytes(secret_digest), digest(secret)):
        _count_wrong_poll(address)
        raise WrongSecret
    if challenge and not hmac.compare_digest(challenge, s256(code_verifier)):
        _count_wrong_poll(address)
        raise WrongVerifier
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


def s256(verifier: str) -> str:
    """The challenge that is made from a verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(digest(verifier)).rstrip(b"=").decode()


def _decide(login: CLILogin, state: CLILogin.State, user: User, now: datetime, **facts: object) -> None:
    pending = CLILogin.objects.filter(pk=login.pk, state=CLILogin.State.PENDING, expires_at__gt=now)
    if not pending.update(state=state, decided_at=now, decided_by=user, **facts):
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
