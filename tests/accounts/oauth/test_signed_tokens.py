"""Tokens that others verify: what they say, who is let in with one, and everything that is refused."""

import base64
import json
import uuid
from datetime import timedelta

import jwt
import pytest
from django.utils import timezone

from accounts.bearer import InvalidToken, NotAMember, Suspended, Waiting
from accounts.models import Login, Membership, Organization, User
from accounts.oauth import access_tokens, keys
from accounts.principals import Kind, Proof

pytestmark = pytest.mark.django_db


@pytest.fixture
def login(alice):
    now = timezone.now()
    return Login.objects.create(
        user=alice, organization=alice.personal_organization, created_at=now, ends_at=now + timedelta(days=1)
    )


def issue(login, now=None, **options):
    return access_tokens.issue(login=login, role="owner", now=now or timezone.now(), **options)


def principal(token, now=None):
    return access_tokens.principal_of_jwt(token, now=now or timezone.now())


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def signed(claims, *, typ="at+jwt", headers=None, key=None, algorithm=None):
    signer = keys.ring(now=timezone.now()).signer(timezone.now())
    headers = {"kid": signer.kid, "typ": typ, **(headers or {})}
    return jwt.encode(claims, key or signer.private(), algorithm=algorithm or signer.algorithm, headers=headers)


def test_it_says_who_acts_in_which_organization_for_five_minutes(login, alice):
    now = timezone.now()
    token = issue(login, now)
    claims = claims_of(token)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert uuid.UUID(claims.pop("jti"))
    assert claims == {
        "iss": "http://testserver",
        "sub": str(alice.pk),
        "aud": "crayon",
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300,
        "sid": str(login.pk),
        "client_id": "crayon-web",
        "id": str(alice.pk),
        "email": "alice@example.com",
        "name": "Alice",
        "org": {
            "id": str(alice.personal_organization.pk),
            "slug": "alice",
            "name": "Alice",
            "role": "owner",
        },
    }


def test_strangers_verify_it_with_the_published_keys(login, nobody_api):
    token = issue(login)
    published = jwt.PyJWKSet.from_dict(nobody_api.get("/.well-known/jwks.json").json())
    key = published[jwt.get_unverified_header(token)["kid"]]
    said = jwt.decode(token, key.key, algorithms=[key.algorithm_name], audience="crayon", issuer="http://testserver")
    assert said["sid"] == str(login.pk)


def test_its_holder_is_let_in_with_one_query(login, alice, django_assert_num_queries):
    Login.objects.update(last_used_at=timezone.now())
    token = issue(login)
    keys.ring(now=timezone.now())
    with django_assert_num_queries(1):
        who = principal(token)
    assert (who.id, who.kind, who.proof, who.credential_id) == (alice.pk, Kind.USER, Proof.JWT, login.pk)
    assert (who.organization_id, who.organization_slug, who.role) == (alice.personal_organization.pk, "alice", "owner")
    assert (who.name, who.login, who.email, who.scopes) == ("Alice", "alice", "alice@example.com", None)


def test_scopes_narrow_it(login):
    who = principal(issue(login, scopes=["openid", "connections:read"]))
    assert who.scopes == frozenset({"connections:read"})
    assert principal(issue(login, scopes=[])).scopes == frozenset()


def test_its_use_is_noted_once_a_minute(login):
    token, now = issue(login), timezone.now()
    principal(token, now)
    principal(token, now + timedelta(seconds=30))
    assert Login.objects.get().last_used_at == now
    principal(token, now + timedelta(seconds=61))
    assert Login.objects.get().last_used_at == now + timedelta(seconds=61)


def test_tokens_from_before_and_after_a_rotation_work(login, settings):
    before = issue(login)
    settings.TOKEN_SIGNING_ALGORITHM = "EdDSA"
    keys.rotate(now=timezone.now() + timedelta(hours=2))
    keys.rotate(now=timezone.now() + timedelta(hours=4))
    keys.forget()
    later = timezone.now() + timedelta(hours=4)
    after = issue(login, later)
    assert jwt.get_unverified_header(after)["alg"] == "EdDSA"
    assert principal(after, later).credential_id == login.pk
    keys.forget()
    assert principal(before).credential_id == login.pk
    keys.forget()


def test_it_ends_with_its_time(login):
    now = timezone.now().replace(microsecond=0)
    token = issue(login, now)
    assert principal(token, now + timedelta(seconds=299))
    with pytest.raises(InvalidToken):
        principal(token, now + timedelta(seconds=300))


def test_one_from_the_future_is_refused(login):
    now = timezone.now()
    assert principal(issue(login, now + timedelta(seconds=20)), now)
    with pytest.raises(InvalidToken):
        principal(issue(login, now + timedelta(seconds=40)), now)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda login: Login.objects.update(revoked_at=timezone.now()), InvalidToken),
        (lambda login: Login.objects.update(ends_at=timezone.now()), InvalidToken),
        (lambda login: Login.objects.all().delete(), InvalidToken),
        (lambda login: User.objects.update(is_active=False), Suspended),
        (lambda login: User.objects.update(is_active=False, waitlisted_at=timezone.now()), Waiting),
        (lambda login: Organization.objects.update(suspended_at=timezone.now()), Suspended),
        (lambda login: Membership.objects.all().delete(), NotAMember),
    ],
)
def test_it_ends_at_once_with_what_it_stands_on(login, change, error):
    token = issue(login)
    change(login)
    with pytest.raises(error):
        principal(token)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another-service"},
        {"aud": []},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"sid": str(uuid.uuid4())},
        {"sid": "not-a-uuid"},
        {"sid": 7},
        {"sub": str(uuid.uuid4())},
        {"exp": "soon"},
    ],
)
def test_a_wrong_claim_is_refused(login, changed):
    claims = {name: value for name, value in (claims_of(issue(login)) | changed).items() if value is not None}
    with pytest.raises(InvalidToken):
        principal(signed(claims))


@pytest.mark.parametrize("missing", ["iss", "sub", "aud", "iat", "exp", "jti", "sid"])
def test_a_missing_claim_is_refused(login, missing):
    claims = claims_of(issue(login))
    assert principal(signed(claims))
    del claims[missing]
    with pytest.raises(InvalidToken):
        principal(signed(claims))


@pytest.mark.parametrize("typ", ["JWT", "id+jwt", "", "logout+jwt"])
def test_another_kind_of_token_is_no_access_token(login, typ):
    with pytest.raises(InvalidToken):
        principal(signed(claims_of(issue(login)), typ=typ))


def test_it_is_no_other_algorithm_with_our_key(login):
    claims = claims_of(issue(login))
    public = json.dumps(keys.jwks(now=timezone.now())["keys"][0])
    none = jwt.encode(claims, None, algorithm="none", headers={"kid": keys.jwks(now=timezone.now())["keys"][0]["kid"]})
    for token in (signed(claims, key=public * 2, algorithm="HS256"), none, signed(claims, headers={"crit": ["x"]})):
        with pytest.raises(InvalidToken):
            principal(token)


def test_what_is_signed_by_another_key_or_changed_is_refused(login):
    token = issue(login)
    head, body, signature = token.split(".")
    changed = base64.urlsafe_b64encode(json.dumps({**claims_of(token), "name": "Mallory"}).encode()).rstrip(b"=")
    for bad in (f"{head}.{changed.decode()}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
        with pytest.raises(InvalidToken):
            principal(bad)
    with pytest.raises(InvalidToken):
        principal(signed(claims_of(token), headers={"kid": "unknown"}))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ey.ey.ey", "eyJ.eyJ.é", "eyJhbGciOiJub25lIn0.e30.x", "ey" * 4000])
def test_what_is_no_token_is_refused(text, db):
    with pytest.raises(InvalidToken):
        principal(text)
