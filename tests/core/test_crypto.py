"""Encryption at rest: numbered keys, bound to the place where a value lies."""

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from core.crypto import CannotOpen, Keyring, derived_keyring, digest, keyring, parse_keys, random_hex

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = "table.column:1"


def encoded(key):
    return base64.b64encode(key).decode()


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_what_was_sealed_opens_in_its_place(plain, place):
    sealed = Keyring({1: NEW}).seal(plain, place=place)
    assert Keyring({1: NEW}).open(sealed, place=place) == plain
    assert len(plain) < 8 or plain not in sealed


def test_it_opens_in_no_other_place():
    sealed = Keyring({1: NEW}).seal(b"secret", place=PLACE)
    for place in ("table.column:2", "table.other:1", "", PLACE + " "):
        with pytest.raises(CannotOpen):
            Keyring({1: NEW}).open(sealed, place=place)


def test_it_opens_with_no_other_key():
    sealed = Keyring({1: NEW}).seal(b"secret", place=PLACE)
    for ring in (Keyring({1: OLD}), Keyring({2: NEW}), Keyring({1: OLD, 2: NEW})):
        with pytest.raises(CannotOpen):
            ring.open(sealed, place=PLACE)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position, change):
    sealed = bytearray(Keyring({1: NEW}).seal(b"secret", place=PLACE))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(CannotOpen):
        Keyring({1: NEW}).open(bytes(sealed), place=PLACE)


@given(st.binary(max_size=80))
def test_nonsense_does_not_open(nonsense):
    with pytest.raises(CannotOpen):
        Keyring({1: NEW}).open(nonsense, place=PLACE)


def test_a_cut_value_does_not_open():
    sealed = Keyring({1: NEW}).seal(b"secret", place=PLACE)
    for length in range(len(sealed)):
        with pytest.raises(CannotOpen):
            Keyring({1: NEW}).open(sealed[:length], place=PLACE)


def test_the_same_value_is_sealed_differently_every_time():
    ring = Keyring({1: NEW})
    assert len({ring.seal(b"secret", place=PLACE) for _ in range(50)}) == 50


def test_the_highest_number_seals_and_every_number_opens():
    before = Keyring({9: OLD}).seal(b"secret", place=PLACE)
    rotated = Keyring({9: OLD, 10: NEW})
    after = rotated.seal(b"secret", place=PLACE)
    assert rotated.open(before, place=PLACE) == rotated.open(after, place=PLACE) == b"secret"
    assert Keyring({10: NEW}).open(after, place=PLACE) == b"secret"


def test_keys_are_read_from_the_setting(settings):
    settings.ENCRYPTION_KEYS = f"1:{encoded(OLD)}, 2:{encoded(NEW)},"
    assert parse_keys(settings.ENCRYPTION_KEYS) == {1: OLD, 2: NEW}
    assert Keyring({2: NEW}).open(keyring().seal(b"secret", place=PLACE), place=PLACE) == b"secret"


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        encoded(NEW),
        f":{encoded(NEW)}",
        f"x:{encoded(NEW)}",
        f"0:{encoded(NEW)}",
        f"-1:{encoded(NEW)}",
        f"65536:{encoded(NEW)}",
        f"1:{encoded(NEW[:31])}",
        f"1:{encoded(NEW)}!",
        "1:",
        f"1:{encoded(NEW)},1:{encoded(OLD)}",
    ],
)
def test_a_bad_setting_stops_the_start_and_shows_no_key(value):
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS") as caught:
        parse_keys(value)
    assert encoded(NEW)[:20] not in str(caught.value)


def test_neither_keys_nor_plain_text_show_in_a_repr_or_an_error():
    ring = Keyring({1: NEW})
    sealed = ring.seal(b"secret", place=PLACE)
    with pytest.raises(CannotOpen) as caught:
        ring.open(sealed, place="elsewhere")
    assert repr(ring) == "<Keyring [1]>"
    assert "secret" not in str(caught.value)


def test_a_derived_key_depends_on_secret_and_purpose():
    sealed = derived_keyring("s1", purpose="p1").seal(b"secret", place=PLACE)
    assert derived_keyring("s1", purpose="p1").open(sealed, place=PLACE) == b"secret"
    for secret, purpose in (("s1", "p2"), ("s2", "p1"), ("", "p1"), ("s1p1", "")):
        with pytest.raises(CannotOpen):
            derived_keyring(secret, purpose=purpose).open(sealed, place=PLACE)


def test_a_digest_is_sha_256():
    # FIPS 180-2, appendix B.1.
    assert digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_random_hex_has_two_characters_for_each_byte():
    values = {random_hex(4) for _ in range(100)}
    assert all(len(value) == 8 and set(value) <= set("0123456789abcdef") for value in values)
    assert len(values) == 100
