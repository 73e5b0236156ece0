"""Two server processes with one Redis: what one learns, both know."""

import pytest

from dev.redis import ThrowawayRedis
from tests.conftest import token_of
from tests.gunicorn_process import GunicornProcess
from tests.resilience.conftest import Tool
from tests.resilience.web import check, start_login

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def both(sandbox, persons):
    kept = {"CREDENTIALS_CACHE_SECONDS": "60"}
    with (
        ThrowawayRedis() as redis,
        GunicornProcess(sandbox=sandbox, environment={"REDIS_URL": redis.url, **kept}) as first,
        GunicornProcess(sandbox=sandbox, environment={"REDIS_URL": redis.url, **kept}) as second,
    ):
        sandbox.settings(webhook_url=f"{first.url}/webhooks/nango")
        yield first, second


def fetches(sandbox):
    return len([entry for entry in sandbox.requests("nango") if entry["path"] == "/connections/main"])


def test_a_webhook_to_one_process_drops_the_credentials_of_both(both, sandbox, persons):
    first, second = (Tool(server, token_of(persons["alice"])) for server in both)
    assert first.create("main", key="old-key").status == 200
    sandbox.webhooks()
    assert [tool.credentials("main").json()["data"]["token"] for tool in (first, second, first)] == ["old-key"] * 3
    assert fetches(sandbox) == 1

    sandbox.change_connection("acme", "main", credentials={"type": "API_KEY", "apiKey": "new-key"})
    sent = sandbox.send_webhook(
        body={
            "type": "auth", "operation": "override", "success": True, "from": "nango", "connectionId": "main",
            "providerConfigKey": "acme", "provider": "private-api-generic", "tags": {},
        }
    )  # fmt: skip
    assert sent["status"] == 200

    assert [tool.credentials("main").json()["data"]["token"] for tool in (second, first)] == ["new-key"] * 2
    assert fetches(sandbox) == 2


def test_a_deletion_through_one_process_takes_the_credentials_from_both(both, sandbox, persons):
    first, second = (Tool(server, token_of(persons["alice"])) for server in both)
    first.create("main")
    assert first.credentials("main").status == second.credentials("main").status == 200

    assert second.delete("main").status == 200

    assert [tool.credentials("main").status for tool in (first, second)] == [404, 404]


def test_the_list_of_integrations_is_asked_for_once(both, sandbox, persons):
    for server in both:
        assert Tool(server, token_of(persons["alice"])).integrations().status == 200
    assert [entry["path"] for entry in sandbox.requests("nango")] == ["/integrations"]


def test_a_limit_counts_for_both_processes_together(both):
    first, second = both
    guesses = [check((first, second)[number % 2], f"{number:08x}", "wrong").status for number in range(14)]
    assert guesses == [200] * 10 + [429] * 4


def test_a_busy_nango_is_left_alone_by_both(both, sandbox, persons):
    first, second = (Tool(server, token_of(persons["alice"])) for server in both)
    sandbox.faults(target="nango", status=429, headers={"Retry-After": "20"})
    assert first.connections().status == 503
    assert second.connections().status == 503
    assert len(sandbox.requests("nango")) == 1


def test_a_login_begun_at_one_process_is_collected_at_the_other(both):
    first, second = both
    code, secret = start_login(first)
    assert check(second, code, secret).json() == {"data": {"status": "pending"}}
