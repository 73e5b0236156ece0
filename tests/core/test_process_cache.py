"""What a process keeps where there is no Redis: bounded, whatever people have it keep."""

import tracemalloc

import pytest
from django.core.cache import cache

from core import process_cache
from tests.accounts.threads import at_once

MEGABYTE = 1024 * 1024


def put(number: int, size: int, *, timeout: float | None = 60) -> None:
    cache.set(f"person-{number}", bytes(size), timeout=timeout)


def kept(numbers: range) -> list[int]:
    return [number for number in numbers if cache.get(f"person-{number}") is not None]


def test_it_is_what_this_server_keeps_things_in_without_redis(settings):
    assert settings.CACHES["default"]["BACKEND"] == "core.process_cache.ProcessCache"


def test_it_grows_no_further_than_so_many_bytes_whatever_is_put_in():
    tracemalloc.start()
    try:
        for number in range(300):
            put(number, MEGABYTE - 1000)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < process_cache.MOST_BYTES + 2 * MEGABYTE
    assert process_cache._STORE.size <= process_cache.MOST_BYTES


def test_small_ones_are_counted_with_what_they_cost(monkeypatch):
    monkeypatch.setattr(process_cache, "MOST_BYTES", MEGABYTE)
    tracemalloc.start()
    try:
        for number in range(20_000):
            put(number, 1)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 1.5 * MEGABYTE


def test_what_was_unused_for_longest_goes_first(monkeypatch):
    monkeypatch.setattr(process_cache, "MOST_BYTES", 5 * 1000)
    for number in range(4):
        put(number, 500)
    assert kept(range(1)) == [0]
    for number in range(4, 7):
        put(number, 500)
    assert kept(range(7)) == [0, 3, 4, 5, 6]


def test_what_is_too_large_is_not_kept_and_takes_the_place_of_none():
    put(1, 10)
    put(2, process_cache.LARGEST_BYTES)
    put(1, process_cache.LARGEST_BYTES)
    assert kept(range(1, 3)) == []
    put(3, 10)
    assert (kept(range(4)), process_cache._STORE.size < 1000) == ([3], True)


@pytest.mark.parametrize("over", [0, -1, 1e-9])
def test_what_is_over_is_gone_with_its_bytes(over):
    put(1, 1000, timeout=over)
    assert (kept(range(2)), process_cache._STORE.size) == ([], 0)


def test_it_is_kept_until_its_time_is_over_and_longer_when_touched():
    put(1, 10, timeout=None)
    put(2, 10, timeout=0)
    put(3, 10)
    assert (cache.touch("person-3", 60), cache.touch("person-9", 60), cache.touch("person-3", -1)) == (
        True,
        False,
        True,
    )
    assert kept(range(4)) == [1]


@pytest.mark.parametrize(
    ("value", "comes_back"),
    [(b"\0\xff", b"\0\xff"), (7, 7), (True, True), ((1, "a"), [1, "a"]), ({"a": None}, {"a": None}), ("", "")],
)
def test_values_come_back_as_from_redis(value, comes_back):
    cache.set("key", value)
    assert cache.get("key") == comes_back
    assert type(cache.get("key")) is type(comes_back)


def test_of_many_who_add_at_once_one_does():
    assert sorted(at_once(*[lambda: cache.add("lock", 1) for _ in range(8)])) == [False] * 7 + [True]


def test_what_is_deleted_or_cleared_is_gone():
    put(1, 10)
    put(2, 10)
    assert (cache.delete("person-1"), cache.delete("person-1"), kept(range(3))) == (True, False, [2])
    cache.clear()
    assert (kept(range(3)), process_cache._STORE.size) == ([], 0)


def test_what_is_kept_is_in_no_repr():
    cache.set("key", "not-a-secret")
    assert "not-a-secret" not in f"{process_cache._STORE} {list(process_cache._STORE.kept.values())}"
