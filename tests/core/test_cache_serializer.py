"""What Redis keeps of the shared cache: nothing that runs when it is read."""

import pickle

import pytest
from django.core.cache.backends.redis import RedisCache

from core.cache import Serializer
from dev.redis import ThrowawayRedis


@pytest.mark.parametrize(
    "value", [b"", b"sealed \x00\xff", 1, 0, -5, True, False, "text", 1.5, {"a": ["b", None]}, ["j"], None]
)
def test_a_value_comes_back_as_it_was(value):
    kept = Serializer().dumps(value)
    read = Serializer().loads(kept if isinstance(kept, bytes) else str(kept).encode())
    assert (read, type(read)) == (value, type(value))


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("what Redis held was run",))


@pytest.mark.parametrize("kept", [pickle.dumps(Exploit()), b"", b"j{", b"x", b"\x80\x05"])
def test_what_is_not_ours_is_absent_and_never_run(kept):
    assert Serializer().loads(kept) is None


def test_what_has_no_form_in_json_is_refused_when_it_is_written():
    with pytest.raises(TypeError):
        Serializer().dumps(object())


def test_what_the_settings_say_keeps_it_so_in_redis(read):
    with ThrowawayRedis() as redis:
        said = read(REDIS_URL=redis.url)["CACHES"]["default"]
        assert said.pop("BACKEND") == f"{RedisCache.__module__}.{RedisCache.__name__}"
        cache = RedisCache(said.pop("LOCATION"), said)
        assert cache.version == 2
        cache.set("kept", [1, "two"], 60)
        cache.set("sealed", b"\x00", 60)
        cache.add("count", 1, 60)
        cache.incr("count")
        assert cache._cache.get_client("kept").get(cache.make_key("kept")) == b'j[1,"two"]'
        assert cache.get_many(["kept", "sealed", "count", "absent"]) == {
            "kept": [1, "two"],
            "sealed": b"\x00",
            "count": 2,
        }
        cache._cache.close_pools() if hasattr(cache._cache, "close_pools") else None
