"""GET /api/integrations."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache

from integrations.services import integrations
from tests.stopwatch import Stopwatch

FIRST = {"id": "salesforce", "provider": "salesforce", "displayName": "Salesforce"}


def test_it_lists_what_can_be_connected(alice_api, sandbox):
    answer = alice_api.get("/api/integrations")

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert {(item["id"], item["provider"]) for item in data} == {
        ("salesforce", "salesforce"),
        ("hubspot", "hubspot"),
        ("slack", "slack"),
        ("linear", "linear"),
        ("github", "github"),
        ("acme", "private-api-generic"),
        ("postgres", "private-api-basic"),
    }
    first = next(item for item in data if item["id"] == "salesforce")
    assert first.pop("logo").startswith("http")
    assert first == FIRST


def test_it_wants_a_token(nobody_api, sandbox, calls):
    answer = nobody_api.get("/api/integrations")

    assert answer.status_code == 401
    assert calls() == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"body": "<html></html>"},
        {"body": {}},
        {"body": {"data": {}}},
        {"body": {"data": [{"provider": "acme"}]}},
        {"body": {"data": [{"unique_key": 7, "provider": "acme"}]}},
        {"status": 302, "body": "", "headers": {"Location": "http://127.0.0.1:9/"}},
        {"drop": "before", "times": 2},
    ],
)
def test_garbage_is_a_failure_and_never_an_empty_list(alice_api, sandbox, fault):
    sandbox.faults(target="nango", match="GET /integrations", **fault)

    answer = alice_api.get("/api/integrations")

    assert answer.status_code == 502
    assert set(answer.json()) == {"error"}


def test_a_refused_key_is_never_the_callers_401(alice_api, sandbox, settings):
    settings.NANGO_SECRET_KEY = "00000000-0000-4000-8000-00000000dead"

    answer = alice_api.get("/api/integrations")

    assert answer.status_code == 503
    assert answer.json() == {
        "error": "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY."
    }


def test_without_a_key_it_names_the_setting(alice_api, settings):
    settings.NANGO_SECRET_KEY = ""

    answer = alice_api.get("/api/integrations")

    assert answer.status_code == 503
    assert answer.json() == {"error": "This server has no access to Nango: its operator must set NANGO_SECRET_KEY."}


# --- Sharing the list --------------------------------------------------------------------------


@pytest.fixture
def shared(settings: Any) -> None:
    settings.INTEGRATIONS_CACHE_SECONDS = 60


@pytest.fixture
def due(shared: None, alice_api: Any, sandbox: Any) -> None:
    """A list that is old enough to be asked for again."""
    alice_api.get("/api/integrations")
    _age(seconds=120)


def _key() -> str:
    from integrations.sources.nango import Nango  # noqa: PLC0415 - after the settings are turned

    return f"integrations-list:{Nango.from_settings().fingerprint}"


def _wait_for_flight() -> None:
    """Until another thread of this process has begun to ask."""
    deadline = time.monotonic() + 10
    while not integrations._flights._under_way:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _age(*, seconds: float) -> None:
    due_at, serves_until, content = cache.get(_key())
    cache.set(_key(), (due_at - seconds, serves_until - seconds, content), timeout=3600)


def test_it_is_asked_for_once_and_shared(shared, alice_api, bob_api, calls, django_assert_num_queries):
    alice_api.get("/api/integrations")

    with django_assert_num_queries(1):
        answer = alice_api.get("/api/integrations")

    assert answer.content == bob_api.get("/api/integrations").content
    assert calls() == ["GET /integrations"]


def test_it_is_asked_for_again_when_it_is_due(due, alice_api, sandbox, calls):
    sandbox.control("DELETE", "/nango/integrations/acme")

    listed = alice_api.get("/api/integrations").json()["data"]

    assert "acme" not in {item["id"] for item in listed}
    assert calls() == ["GET /integrations"] * 2


def test_another_environment_has_another_list(shared, alice_api, settings, sandbox):
    alice_api.get("/api/integrations")
    settings.NANGO_SECRET_KEY = "00000000-0000-4000-8000-00000000dead"

    assert alice_api.get("/api/integrations").status_code == 503


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"status": 401}, {"drop": "before", "times": 2}])
def test_the_old_list_serves_while_nango_fails(due, alice_api, sandbox, fault):
    sandbox.faults(target="nango", match="GET /integrations", **fault)

    answer = alice_api.get("/api/integrations")

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 7


def test_after_a_failure_nango_is_left_alone_for_a_moment(due, alice_api, sandbox, calls):
    sandbox.faults(target="nango", match="GET /integrations", status=500, times=0)

    assert [alice_api.get("/api/integrations").status_code for _ in range(5)] == [200] * 5
    assert calls() == ["GET /integrations"] * 2


def test_the_old_list_serves_for_an_hour_only(due, alice_api, sandbox):
    _age(seconds=3600)
    sandbox.faults(target="nango", match="GET /integrations", status=500)

    assert alice_api.get("/api/integrations").status_code == 502


@pytest.mark.parametrize("kept", ["nonsense", (1, 2), (1.0, 9e9, "text")])
def test_something_else_in_the_cache_is_a_miss(shared, alice_api, sandbox, kept):
    cache.set(_key(), kept)

    assert alice_api.get("/api/integrations").status_code == 200


def test_many_at_once_ask_once(shared, sandbox, calls):
    sandbox.faults(target="nango", match="GET /integrations", delay=0.5)

    with ThreadPoolExecutor(12) as pool:
        lists = set(pool.map(lambda _: integrations.list_integrations(), range(12)))

    assert len(lists) == 1
    assert calls() == ["GET /integrations"]


def test_many_at_once_share_a_failure(shared, sandbox, calls):
    sandbox.faults(target="nango", match="GET /integrations", delay=0.5, status=500, times=0)
    failures: list[str] = []

    def ask(_: int) -> None:
        try:
            integrations.list_integrations()
        except Exception as error:  # noqa: BLE001 - its kind is what is tested
            failures.append(type(error).__name__)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))

    assert failures == ["NangoFailed"] * 8
    assert calls() == ["GET /integrations"]
    assert integrations._flights._under_way == {}


def test_while_one_asks_the_others_get_the_old_list_at_once(due, sandbox):
    sandbox.faults(target="nango", match="GET /integrations", delay=2)
    slow = threading.Thread(target=integrations.list_integrations)
    slow.start()
    _wait_for_flight()

    with Stopwatch() as watch:
        integrations.list_integrations()

    assert watch.at_ease < 1.5
    slow.join()


def test_while_another_process_asks_the_old_list_serves(due, alice_api, calls):
    cache.set(_key().replace("list", "lock"), 1, timeout=7)

    assert alice_api.get("/api/integrations").status_code == 200
    assert calls() == ["GET /integrations"]


def test_without_an_old_list_it_waits_for_the_other_process(shared, sandbox, calls):
    cache.set(_key().replace("list", "lock"), 1, timeout=7)
    waiting = ThreadPoolExecutor(1).submit(integrations.list_integrations)
    _wait_for_flight()

    cache.set(_key(), (time.time() + 60, time.time() + 3660, "[]"), timeout=60)

    assert waiting.result(timeout=20) == b"[]"
    assert calls() == []


def test_the_lock_of_a_killed_process_is_taken_over(shared, sandbox, calls):
    cache.set(_key().replace("list", "lock"), 1, timeout=1)

    assert integrations.list_integrations().startswith(b"[{")
    assert calls() == ["GET /integrations"]
