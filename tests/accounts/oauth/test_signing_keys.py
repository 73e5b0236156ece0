"""The ring of signing keys: two published at all times, the next one before it signs."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import jwt
import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, SigningKey
from accounts.oauth import keys
from core.key_rotation import Counts, reseal
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def new_ring():
    """No key yet, and none remembered."""
    SigningKey.objects.all().delete()
    keys.forget()
    yield
    keys.forget()


def published(now):
    keys.forget()
    return [key["kid"] for key in keys.jwks(now=now)["keys"]]


def test_the_first_use_makes_the_key_that_signs_and_the_next_one():
    ring = keys.ring(now=NOW)
    assert [key.signs_from for key in ring.keys if key.signs_from] == [NOW]
    assert len(published(NOW)) == 2
    assert ring.signer(NOW).kid in published(NOW)


def test_the_published_half_is_public_and_says_what_it_is_for():
    for key in keys.jwks(now=NOW)["keys"]:
        assert set(key) == {"kty", "n", "e", "kid", "alg", "use"}
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert jwt.PyJWK(key).key.key_size == 2048


def test_ed25519_keys_are_made_where_the_setting_says_so(settings):
    settings.TOKEN_SIGNING_ALGORITHM = "EdDSA"
    for key in keys.jwks(now=NOW)["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
        assert (key["crv"], key["alg"]) == ("Ed25519", "EdDSA")


def test_the_private_half_is_sealed_and_bound_to_its_row():
    keys.ensure(now=NOW)
    one, other = SigningKey.objects.all()
    assert b"PRIVATE" not in bytes(one.sealed_private_key)
    assert one.sealed_private_key.open()
    SigningKey.objects.filter(pk=one.pk).update(sealed_private_key=other.sealed_private_key)
    keys.forget()
    moved = keys.ring(now=NOW).find(one.kid, NOW)
    assert moved is not None
    with pytest.raises(keys.NoKey):
        moved.private()


def test_a_rotation_lets_the_published_key_sign_and_publishes_another():
    signer = keys.ring(now=NOW).signer(NOW)
    (upcoming,) = set(published(NOW)) - {signer.kid}
    later = NOW + HOUR

    assert keys.rotate(now=later) == upcoming

    keys.forget()
    assert keys.ring(now=later).signer(later).kid == upcoming
    assert len(published(later)) == 3
    assert {signer.kid, upcoming} < set(published(later))
    event = AuditEvent.objects.get(action="signing_key.rotated")
    assert (event.target_id, event.details) == (upcoming, {"at_once": False})


def test_the_key_before_stays_published_for_as_long_as_its_tokens_live():
    signer = keys.ring(now=NOW).signer(NOW).kid
    rotated = NOW + HOUR
    keys.rotate(now=rotated)
    assert signer in published(rotated + timedelta(minutes=14))
    assert signer not in published(rotated + timedelta(minutes=15))
    assert len(published(rotated + timedelta(minutes=15))) == 2
    assert keys.prune(now=rotated + timedelta(minutes=15)) == 1


def test_a_key_that_was_just_published_does_not_sign_yet():
    keys.ensure(now=NOW)
    with pytest.raises(keys.TooSoon):
        keys.rotate(now=NOW + timedelta(minutes=59))
    assert not AuditEvent.objects.exists()


def test_at_once_ends_what_was_signed_before():
    signer = keys.ring(now=NOW).signer(NOW).kid
    keys.rotate(now=NOW, at_once=True)
    assert signer not in published(NOW)
    assert len(published(NOW)) == 2


def test_at_once_ends_also_a_key_that_a_rotation_has_just_replaced():
    replaced = keys.ring(now=NOW).signer(NOW).kid
    keys.rotate(now=NOW + HOUR)
    leaked = NOW + HOUR + timedelta(minutes=1)
    keys.rotate(now=leaked, at_once=True)
    keys.forget()
    assert replaced not in published(leaked)
    assert len(published(leaked)) == 2


def test_a_key_of_another_process_is_found_at_its_first_token():
    keys.ensure(now=NOW)
    keys.ring(now=NOW)
    kept = list(keys._kept)
    keys.rotate(now=NOW, at_once=True)
    keys.rotate(now=NOW, at_once=True)
    keys.forget()
    signer = keys.ring(now=NOW).signer(NOW).kid
    keys._kept[:] = kept
    assert keys.find(signer, now=NOW + timedelta(seconds=4)) is None
    found = keys.find(signer, now=NOW + timedelta(seconds=5))
    assert found is not None
    assert found.kid == signer


def test_unknown_keys_do_not_make_every_request_look(django_assert_num_queries):
    keys.ensure(now=NOW)
    keys.ring(now=NOW)
    with django_assert_num_queries(0):
        for _ in range(20):
            assert keys.find("unknown", now=NOW) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_processes_that_begin_at_once_one_makes_the_keys():
    at_once(*[lambda: keys.ensure(now=NOW)] * 6)
    assert SigningKey.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_rotations_at_once_one_is_done():
    keys.ensure(now=NOW)

    def rotate():
        try:
            return keys.rotate(now=NOW + HOUR)
        except keys.TooSoon:
            return ""

    done = at_once(*[rotate] * 4)
    assert len([kid for kid in done if kid]) == 1
    assert SigningKey.objects.filter(ends_at=None).count() == 2


def test_what_is_made_in_a_transaction_that_fails_is_not_remembered():
    assert SigningKey.objects.count() == 0
    keys.ring(now=NOW)
    assert keys._kept == []


def test_the_command_rotates_and_says_so():
    keys.ensure(now=NOW - 2 * HOUR)
    out = StringIO()
    call_command("rotate-signing-key", "--at-once", stdout=out)
    assert out.getvalue().endswith(" signs tokens from now on.\n")
    with pytest.raises(CommandError, match="less than an hour ago"):
        call_command("rotate-signing-key")


def test_sealing_anew_keeps_the_keys(settings):
    keys.ensure(now=NOW)
    before = keys.ring(now=NOW).signer(NOW).private().private_numbers()
    settings.ENCRYPTION_KEYS += ",2:dmlzaWJseS1mYWtlLXNlY3JldC1vZi0zMi1ieXRlcyE="
    assert reseal() == Counts(resealed=2)
    assert reseal() == Counts(current=2)
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS.partition(",")[2]
    keys.forget()
    assert keys.ring(now=NOW).signer(NOW).private().private_numbers() == before
