"""Redis goes away, or stops answering, while the server is at work: what is shared is missed, nothing fails."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from dev.redis import ThrowawayRedis
from tests.conftest import token_of
from tests.gunicorn_process import GunicornProcess
from tests.resilience.conftest import Tool
from tests.resilience.web import WebBrowser, check, start_login
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def redis():
    with ThrowawayRedis() as server:
        yield server


@pytest.fixture
def shared(redis, sandbox, persons):
    with GunicornProcess(
        sandbox=sandbox, environment={"REDIS_URL": redis.url, "CREDENTIALS_CACHE_SECONDS": "60"}
    ) as server:
        sandbox.settings(webhook_url=f"{server.url}/webhooks/nango")
        yield server


def test_without_redis_requests_go_on_limits_hold_and_caches_miss(shared, redis, sandbox, persons):
    tool = Tool(shared, token_of(persons["alice"]))
    code, secret = start_login(shared)
    assert tool.create("main").status == 200
    sandbox.webhooks()
    assert tool.credentials("main").status == tool.credentials("main").status == 200
    fetched = [entry for entry in sandbox.requests("nango") if entry["path"] == "/connections/main"]
    assert len(fetched) == 1, "the second was to come from the cache"

    redis.stop()
    sandbox.clear_requests()
    assert [tool.credentials("main").status for _ in range(3)] == [200] * 3
    assert len([entry for entry in sandbox.requests("nango") if entry["path"] == "/connections/main"]) == 3
    assert tool.integrations().status == tool.connections().status == tool.connect().status == 200
    assert tool.delete("main").json() == {"ok": True}
    assert check(shared, code, secret).json() == {"data": {"status": "pending"}}
    assert WebBrowser(shared).sign_in("charlie").status == 302
    assert shared.request("GET", "/_/ready").json()["cache"] == "DOWN"
    assert shared.request("GET", "/_/health").status == 200

    # The tenth wrong guess of a minute is the last, counted in the process.
    guesses = [check(shared, f"{number:08x}", "wrong").status for number in range(12)]
    assert guesses == [200] * 10 + [429] * 2


def test_a_redis_that_hangs_costs_a_request_little(shared, redis, sandbox, persons):
    tool = Tool(shared, token_of(persons["alice"]))
    code, secret = start_login(shared)
    assert tool.create("main").status == 200
    pid = redis.server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for ask in (tool.integrations, lambda: tool.credentials("main"), lambda: check(shared, code, secret)):
            with Stopwatch() as watch:
                assert ask().status == 200
            assert watch.at_ease < 4
    finally:
        os.kill(pid, signal.SIGCONT)
    assert tool.integrations().status == 200


def test_what_was_deleted_while_redis_was_away_is_not_given_out_when_it_is_back(shared, redis, persons):
    tool = Tool(shared, token_of(persons["alice"]))
    for name in ("main", "second"):
        assert tool.create(name).status == tool.credentials(name).status == 200
    with Redis.from_url(redis.url) as client:
        client.save()
        assert len(client.keys("*credentials:*")) == 2
    process = redis.server
    process.kill()
    process.wait()

    assert tool.delete("main").json() == {"ok": True}
    assert tool.create("second", key="the-new-key").status == 200

    # It comes back with all that it held, as after a break in the network.
    with subprocess.Popen(process.args, cwd=redis.folder, stdout=subprocess.DEVNULL) as redis.server:
        _wait_until_ready(redis.url)
        with Redis.from_url(redis.url) as client:
            assert len(client.keys("*credentials:*")) == 2
        assert tool.credentials("main").status == 404
        assert tool.credentials("second").json()["data"]["token"] == "the-new-key"
        redis.server.kill()


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + 15
    while True:
        with suppress(RedisConnectionError), Redis.from_url(url) as client:
            client.ping()
            return
        assert time.monotonic() < until
        time.sleep(0.01)
