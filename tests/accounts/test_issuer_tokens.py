"""Tokens of a trusted issuer: what is taken, and everything that isn't."""

import hashlib
import hmac
import time
import uuid
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.utils import timezone
from jwt.utils import base64url_encode

from accounts.models import User
from accounts.principals import Kind, Principal, Proof
from accounts.services import issuers
from accounts.trusted_issuers import foreign_token
from accounts.trusted_issuers.errors import InvalidForeignToken
from tests.accounts.issuer import KEYS, encoded, public_jwk, rsa_public_pem

pytestmark = pytest.mark.django_db


def look(token):
    return foreign_token(token, now=timezone.now())


def refused(token):
    with pytest.raises(InvalidForeignToken) as caught:
        look(token)
    return caught.value.sentence == "This token is not valid or has expired. Sign in again where you got it."


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA", "ES256"])
def test_a_token_is_somebody_in_the_organization_it_names(issuer, acme, algorithm):
    found = look(issuer.token(algorithm=algorithm))
    person = User.objects.get()
    assert found == Principal(
        id=person.pk,
        kind=Kind.USER,
        proof=Proof.FOREIGN_JWT,
        organization_id=acme.pk,
        organization_slug="acme",
        role="member",
        name="Alice",
        login=person.username,
        email="alice@example.com",
    )


def test_somebody_known_costs_one_query(issuer, acme, django_assert_num_queries):
    look(issuer.token())
    with django_assert_num_queries(1):
        look(issuer.token())


def test_roles_are_read_in_either_case(issuer, acme):
    for written in ("OWNER", "Admin", "member"):
        found = look(issuer.token(org={"slug": "acme", "role": written}))
        assert found.role == written.lower()


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("connections:read openid", {"connections:read"}),
        (["connections:read", "x"], {"connections:read"}),
        ("openid profile", set()),
        ("", set()),
    ],
)
def test_a_token_that_names_scopes_is_narrowed_to_them(issuer, acme, scope, scopes):
    assert look(issuer.token(scope=scope)).scopes == scopes


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "x",
        "a" * 64,
        "crayon_sk_" + "x" * 51,
        "ey.ey",
        "eyJ.eyJ.eyJ",
        "ey" + "x" * 9000 + ".x.x",
        "ey\0.a.b",
        "é.é.é",
    ],
)
def test_what_is_no_jwt_is_somebody_elses_to_look_at(issuer, credential):
    assert look(credential) is None


def test_a_jwt_of_another_issuer_is_somebody_elses_to_look_at(issuer, acme):
    for other in ("https://other.example", f"{issuer.url}/", "", 5):
        assert look(issuer.token(iss=other)) is None if isinstance(other, str) else True
    assert issuer.fetched == 0


def test_without_a_trusted_issuer_nobody_is_asked(issuer, acme, settings):
    settings.TRUSTED_TOKENS = None
    assert look(issuer.token()) is None
    assert issuer.fetched == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": []},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\0b", "id": None},
        {"id": "another-than-sub"},
        {"org": None},
        {"org": "acme"},
        {"org": {"slug": "acme"}},
        {"org": {"role": "member"}},
        {"org": {"slug": "", "role": "member"}},
        {"org": {"slug": "acme", "role": "billing"}},
        {"org": {"slug": "acme", "role": "worker"}},
        {"org": {"slug": "acme", "role": ["owner"]}},
        {"org": {"slug": "a\0b", "role": "member"}},
        {"exp": timedelta(seconds=-61), "iat": timedelta(seconds=-300)},
        {"iat": timedelta(hours=1), "exp": timedelta(hours=1, seconds=60)},
        {"nbf": timedelta(hours=1)},
        {"exp": timedelta(hours=25)},
        {"exp": timedelta(), "iat": timedelta()},
        {"exp": True},
        {"exp": "soon"},
        {"iat": "yesterday"},
        {"exp": 10**30},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iat": -1},
        {"scope": 5},
        {"scope": [5]},
        {"nonce": "n-0S6_WzA2Mj"},
        {"at_hash": "x"},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    ],
    ids=str,
)
def test_a_token_with_other_claims_is_refused(issuer, acme, changes):
    now = int(time.time())
    claims = {
        name: now + int(claim.total_seconds()) if isinstance(claim, timedelta) else claim
        for name, claim in changes.items()
    }
    assert refused(issuer.token(**claims))
    assert not User.objects.exists()


def test_a_minute_between_clocks_is_allowed(issuer, acme):
    now = int(time.time())
    assert look(issuer.token(iat=now - 300, exp=now - 50))
    assert look(issuer.token(iat=now + 50, exp=now + 350))


def test_an_audience_may_be_one_of_several(issuer, acme):
    assert look(issuer.token(aud=["somebody-else", "crayon"]))


@pytest.mark.parametrize("kind", [None, "JWT", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_types_of_access_tokens_are_taken(issuer, acme, kind):
    assert look(issuer.token(headers={"typ": kind}))


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "id_token+jwt"},
        {"typ": "logout+jwt"},
        {"typ": "oauth-id-jag+jwt"},
        {"kid": "unknown"},
        {"kid": "ES256"},
        {"kid": "EdDSA"},
        {"kid": ""},
        {"crit": ["exp"]},
    ],
    ids=str,
)
def test_a_token_with_another_header_is_refused(issuer, acme, headers):
    assert refused(issuer.token(headers=headers))


def test_a_token_without_a_key_id_is_refused(issuer, acme):
    assert refused(jwt.encode(issuer.claims(), KEYS["RS256"], algorithm="RS256"))


def test_a_key_of_somebody_elses_by_the_same_id_is_refused(issuer, acme):
    assert refused(issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)))


@pytest.mark.parametrize("written", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(issuer, acme, written):
    for kid in ("RS256", "EdDSA"):
        head = encoded({"alg": written, "typ": "JWT", "kid": kid})
        assert refused(f"{head}.{encoded(issuer.claims())}.")


def test_the_public_key_as_a_shared_secret_signs_nothing(issuer, acme):
    for kid in ("RS256", "EdDSA", "ES256"):
        for secret in (rsa_public_pem(), rsa_public_pem().strip(), b""):
            text = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{encoded(issuer.claims())}"
            mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
            assert refused(f"{text}.{base64url_encode(mac).decode()}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_a_key_signs_by_its_one_algorithm_only(issuer, acme, algorithm):
    token = jwt.encode(issuer.claims(), KEYS["RS256"], algorithm=algorithm, headers={"kid": "RS256"})
    assert refused(token)


def test_a_key_that_the_token_brings_along_is_not_used(issuer, acme):
    own = ed25519.Ed25519PrivateKey.generate()
    for more in ({"jwk": public_jwk("EdDSA", own)}, {"jku": "https://attacker.example/keys"}, {"x5u": "https://a/b"}):
        assert refused(issuer.token(algorithm="EdDSA", key=own, headers={"kid": "mine", **more}))
        assert refused(issuer.token(algorithm="EdDSA", key=own, headers=more))


def test_a_changed_token_is_refused(issuer, acme):
    head, _, signature = issuer.token().split(".")
    claims = issuer.claims(org={"slug": "acme", "role": "owner"})
    assert refused(f"{head}.{encoded(claims)}.{signature}")
    assert refused(f"{head}.{encoded(claims)}.")


def test_what_is_refused_says_why_in_the_log_and_never_what_was_sent(issuer, acme, caplog):
    caplog.set_level("INFO")
    token = issuer.token(aud="visibly-fake-audience")
    assert refused(token)
    assert "a token of the trusted issuer was refused: InvalidAudienceError" in caplog.text
    assert not [part for part in ("visibly-fake", token) if part in caplog.text]


def test_two_first_sights_at_once_make_one_person(issuer, acme, monkeypatch):
    make, raced = issuers.make_person, []

    def twice(**person):
        raced.append(make(**person))
        make(**person)

    monkeypatch.setattr(issuers, "make_person", twice)
    assert look(issuer.token())
    assert User.objects.count() == 1


def test_ids_are_ours(issuer, acme):
    assert isinstance(look(issuer.token(sub=str(uuid.uuid4()), id=None)).id, uuid.UUID)
