"""GET /_/health and /_/ready."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from core import health
from dev.redis import ThrowawayRedis

UP = {"status": "UP", "database": "UP", "migrations": "UP", "cache": "UP"}


@pytest.fixture(autouse=True)
def _not_asked_yet(monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)


def test_a_process_that_answers_is_up(client):
    answer = client.get("/_/health")
    assert (answer.status_code, answer.json(), answer["Cache-Control"]) == (200, {"status": "UP"}, "no-store")


@pytest.mark.parametrize("path", ["/_/health", "/_/ready"])
def test_it_is_only_read_and_says_how(client, path):
    answer = client.post(path)
    sentence = {"error": "This method is not possible at this address."}
    assert (answer.status_code, answer.json(), answer["Allow"]) == (405, sentence, "GET, HEAD")


def test_health_asks_for_nothing_of_the_client(client):
    answer = client.get("/_/health", headers={"Host": "10.0.0.7:3000"})
    assert answer.status_code == 200


@pytest.mark.django_db
def test_a_server_that_can_do_its_work_is_ready(client):
    answer = client.get("/_/ready")
    assert (answer.status_code, answer.json()) == (200, UP)


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready(client):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)")
    answer = client.get("/_/ready")
    assert (answer.status_code, answer.json()) == (503, UP | {"status": "DOWN", "migrations": "DOWN"})


@pytest.mark.django_db
def test_a_cache_that_is_away_is_not_ready(client, settings):
    with ThrowawayRedis() as server:
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
        }
        cache.set("x", 1)
        assert client.get("/_/ready").json() == UP
    answer = client.get("/_/ready")
    assert (answer.status_code, answer.json()) == (503, UP | {"status": "DOWN", "cache": "DOWN"})
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_not_ready_and_is_found_again():
    client = Client(raise_request_exception=False)
    port, connection.settings_dict["PORT"] = connection.settings_dict["PORT"], "1"
    connection.close()
    try:
        answer = client.get("/_/ready")
        down = {"status": "DOWN", "database": "DOWN", "migrations": "DOWN", "cache": "UP"}
        assert (answer.status_code, answer.json()) == (503, down)
        refused = client.get("/api/auth/cli/check?code=00000000&secret=0")
        sentence = "The database can't be reached right now. Please try again in a moment."
        assert (refused.status_code, refused.json(), refused["Retry-After"]) == (503, {"error": sentence}, "1")
        page = client.get("/auth/sign-in", headers={"Cookie": "session=abcdefghijklmnopqrstuvwxyz012345"})
        assert (page.status_code, sentence.replace("'", "&#x27;").encode() in page.content) == (503, True)
        assert page["Retry-After"] == "1"
    finally:
        connection.settings_dict["PORT"] = port
        connection.close()
    assert client.get("/_/ready").json() == UP
