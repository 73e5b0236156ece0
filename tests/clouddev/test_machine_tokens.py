"""Dev-UI tokens: what is signed, with which key, and what a machine makes of it."""

import base64
import uuid
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from django.core.exceptions import ImproperlyConfigured

from clouddev.machine_tokens import LIFETIMES, NotConfigured, Signer, Use
from tests.clouddev.node_runner import verified

APP, OTHER_APP = "crayon-dev-01234567", "crayon-dev-76543210"
ALICE = uuid.UUID("00000000-0000-4000-8000-00000000000a")
JTI = uuid.UUID("00000000-0000-4000-8000-0000000000ff")
NOW = datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
ISSUED = int(NOW.timestamp())
DAY = 24 * 3600
CLAIMS = {"sub": str(ALICE), "app": APP, "login": "alice", "use": "mcp", "iat": ISSUED, "exp": ISSUED + DAY}
# RFC 8037, appendix A: a private key, its public half, and the latter's thumbprint.
RFC_PRIVATE = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def pem_of(key: Ed25519PrivateKey, encryption: KeySerializationEncryption | None = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


KEY = Ed25519PrivateKey.from_private_bytes(b"not-a-secret--of-this-file-alone")
SIGNER = Signer(KEY)


def signed(signer: Signer = SIGNER, **changes: object) -> str:
    asked = {"user_id": ALICE, "app": APP, "login": "alice", "use": Use.MCP, "now": NOW} | changes
    return signer.sign(**asked)  # type: ignore[arg-type]


def test_a_token_says_who_may_use_which_machine_for_a_day():
    token = signed()
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": SIGNER.kid}
    assert jwt.decode(token, options={"verify_signature": False}) == CLAIMS


@pytest.mark.parametrize(("words", "days"), [("7d", 7), ("30d", 30), ("90d", 90), ("365d", 365)])
def test_a_webhook_token_lasts_as_asked_and_can_be_named(words, days):
    token = signed(use=Use.WEBHOOK, lifetime=LIFETIMES[words], jti=JTI)
    assert jwt.decode(token, options={"verify_signature": False}) == CLAIMS | {
        "use": "webhook",
        "exp": ISSUED + days * DAY,
        "jti": str(JTI),
    }


def test_the_key_is_named_as_rfc_8037_says():
    seed = base64.urlsafe_b64decode(f"{RFC_PRIVATE}=")
    assert Signer(Ed25519PrivateKey.from_private_bytes(seed)).kid == RFC_THUMBPRINT


def test_the_public_key_is_told_as_pem_on_one_line_and_on_several():
    pem, escaped = (SIGNER.public_key_pem(escaped=is_escaped) for is_escaped in (False, True))
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert load_pem_public_key(pem.encode()) == KEY.public_key()
    assert "\n" not in escaped
    assert escaped.replace("\\n", "\n") == pem.strip()


@pytest.mark.parametrize("newline", ["\n", "\\n", "\r\n"])
@pytest.mark.parametrize("is_stripped", [True, False])
def test_a_private_key_may_be_written_on_one_line(newline, is_stripped):
    pem = pem_of(KEY)
    written = (pem.strip() if is_stripped else pem).replace("\n", newline)
    assert Signer.from_pem(written).kid == SIGNER.kid


@pytest.mark.parametrize(
    "value",
    [
        "",
        "no key",
        SIGNER.public_key_pem(escaped=False),
        pem_of(KEY, BestAvailableEncryption(b"word")),
        pem_of(KEY)[:60],
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    ],
    ids=["nothing", "words", "public", "encrypted", "cut", "another kind", "another format"],
)
def test_a_key_of_another_kind_is_refused_without_being_quoted(value):
    with pytest.raises(ImproperlyConfigured) as caught:
        Signer.from_pem(value)
    assert str(caught.value).startswith("DEV_UI_JWT_PRIVATE_KEY must be an Ed25519 key in PEM")
    assert all(line not in str(caught.value) for line in value.splitlines())


def test_without_a_key_the_setting_is_named(settings):
    settings.DEV_UI_JWT_PRIVATE_KEY = ""
    with pytest.raises(NotConfigured, match="DEV_UI_JWT_PRIVATE_KEY is not set") as caught:
        Signer.from_settings()
    assert caught.value.status == 503


def test_with_a_bad_key_the_setting_is_named_and_the_key_is_not(settings):
    settings.DEV_UI_JWT_PRIVATE_KEY = "bad-and-not-a-secret"
    with pytest.raises(NotConfigured, match="DEV_UI_JWT_PRIVATE_KEY can't be read") as caught:
        Signer.from_settings()
    assert caught.value.status == 503
    assert "bad-and" not in caught.value.sentence


def test_the_key_is_read_once_and_a_new_value_is_heeded(settings):
    first = Signer.from_settings()
    assert Signer.from_settings() is first
    settings.DEV_UI_JWT_PRIVATE_KEY = pem_of(KEY)
    assert Signer.from_settings().kid == SIGNER.kid != first.kid


def test_a_signer_does_not_show_its_key():
    assert repr(SIGNER) == f"<Signer {SIGNER.kid}>"


@pytest.mark.needs_node_packages
@pytest.mark.parametrize(
    ("signer", "app", "at", "is_good"),
    [
        (SIGNER, APP, 0, True),
        (SIGNER, OTHER_APP, 0, False),
        (SIGNER, APP, DAY, False),
        (Signer(Ed25519PrivateKey.from_private_bytes(b"not-a-secret--of-another-server-")), APP, 0, False),
    ],
    ids=["ours", "for another machine", "over", "of another server"],
)
def test_a_machine_verifies_it_with_what_it_was_given(signer, app, at, is_good):
    public_key = SIGNER.public_key_pem(escaped=True)
    told = verified(signed(signer), public_key=public_key, app=app, now=ISSUED + at)
    assert told == {"isGood": is_good, "kid": signer is SIGNER, "claims": CLAIMS}
