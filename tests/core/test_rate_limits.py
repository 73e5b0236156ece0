"""Rate limits: they hold when callers come at once, in this process and through Redis."""

import logging
from threading import Barrier, Thread

import pytest
import time_machine
from limits.storage import MemoryStorage

from core import rate_limits
from core.errors import TooManyRequests
from core.rate_limits import FairShare, ProcessMemory, RateLimit
from dev.redis import ThrowawayRedis

LIMIT = RateLimit("test", "5/minute")


@pytest.fixture(scope="module")
def redis_url():
    with ThrowawayRedis() as server:
        yield server.url


@pytest.fixture(params=["process", "redis"])
def store(request, settings, redis_url):
    settings.REDIS_URL = redis_url if request.param == "redis" else ""
    rate_limits.forget_all()
    yield request.param
    rate_limits.forget_all()


def spent(limit, *key):
    try:
        limit.spend(*key)
    except TooManyRequests:
        return False
    return True


def test_it_lets_as_many_through_as_it_says(store):
    assert [spent(LIMIT, "alice") for _ in range(7)] == [True] * 5 + [False] * 2


def test_each_key_and_each_name_counts_for_itself(store):
    for _ in range(5):
        LIMIT.spend("alice")
    assert not spent(LIMIT, "alice")
    assert spent(LIMIT, "bob")
    assert spent(LIMIT)
    assert spent(RateLimit("another", "5/minute"), "alice")


@pytest.mark.parametrize("key", ["", "a/b", "a:b", "ü", "x" * 2000, "a\nb", "*"])
def test_any_key_is_counted(store, key):
    assert [spent(RateLimit("odd", "1/minute"), key) for _ in range(2)] == [True, False]


def test_a_refusal_says_how_long_to_wait(store):
    for _ in range(5):
        LIMIT.spend("alice")
    for refuse in (LIMIT.spend, LIMIT.require_left):
        with pytest.raises(TooManyRequests) as caught:
            refuse("alice")
        assert 1 <= caught.value.retry_after <= 60


def test_asking_whether_some_is_left_counts_nothing(store):
    for _ in range(20):
        LIMIT.require_left("alice")
    assert [spent(LIMIT, "alice") for _ in range(6)] == [True] * 5 + [False]


def test_it_holds_when_callers_come_at_once(store):
    outcomes = []
    barrier = Barrier(40)

    def come():
        barrier.wait()
        outcomes.append(spent(LIMIT, "alice"))

    threads = [Thread(target=come) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 35 + [True] * 5


def test_after_its_period_a_limit_begins_anew():
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        assert [spent(LIMIT, "alice") for _ in range(6)] == [True] * 5 + [False]
        clock.shift(59)
        assert not spent(LIMIT, "alice")
        clock.shift(1)
        assert [spent(LIMIT, "alice") for _ in range(6)] == [True] * 5 + [False]


def test_without_redis_this_process_counts_alone_and_says_so(settings, redis_url, caplog):
    with ThrowawayRedis() as server:
        settings.REDIS_URL = server.url
        assert spent(LIMIT, "alice")
    with caplog.at_level(logging.WARNING):
        assert [spent(LIMIT, "alice") for _ in range(6)] == [True] * 5 + [False]
    assert "rate limits are counted in this process only" in caplog.text


def test_processes_share_their_counts_through_redis(settings, redis_url):
    settings.REDIS_URL = redis_url
    rate_limits.forget_all()
    for _ in range(5):
        LIMIT.spend("shared")
    rate_limits._shared.cache_clear()  # as another process would begin
    assert not spent(LIMIT, "shared")


def test_what_is_over_is_forgotten():
    memory = ProcessMemory()
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        memory = ProcessMemory()
        for number in range(1000):
            memory.incr(f"key-{number}", 60)
        clock.shift(61)
        assert memory.incr("another", 60) == 1
        assert (len(memory.storage), len(memory.expirations)) == (1, 1)


def test_the_librarys_own_storage_still_starts_a_thread_to_forget():
    """Why ProcessMemory exists: when this fails, the library's MemoryStorage may do."""
    storage = MemoryStorage()
    storage.timer.join()
    first = storage.timer
    storage.incr("key", 60)
    assert storage.timer is not first
    storage.timer.join()


def tries(share, key, number, among_all):
    """How many of so many uses are let through."""

    def once():
        try:
            share.spend(key, among_all=among_all)
        except TooManyRequests:
            return False
        return True

    return sum(once() for _ in range(number))


def test_whoever_is_alone_may_use_all_and_others_get_an_equal_part(store):
    share = FairShare("test")
    with time_machine.travel(1_800_000_000, tick=False):
        assert tries(share, "alice", 100, among_all=90) == 90
        assert tries(share, "bob", 100, among_all=90) == 45
    with time_machine.travel(1_800_000_060, tick=False):
        assert [tries(share, name, 100, among_all=90) for name in ("alice", "bob", "charlie")] == [45, 45, 30]
    with time_machine.travel(1_800_000_240, tick=False):
        assert tries(share, "alice", 100, among_all=90) == 90


def test_everybody_has_one_use_however_many_come(store):
    with time_machine.travel(1_800_000_000, tick=False):
        assert [tries(FairShare("test"), str(number), 2, among_all=3) for number in range(6)] == [2, 1, 1, 1, 1, 1]
