"""Archives in an S3-compatible bucket, through the client that production has: stored, fetched in pieces, removed."""

import base64
import os
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.temp import NamedTemporaryFile

from config import storage
from deployments.models import Build
from deployments.services import archive_storage
from tests.deployments.archive_builder import entry, packed
from tests.deployments.builders import make_deployment
from tests.deployments.s3 import Store, running_store

MEGABYTE = 1 << 20
NAME = "builds/one.tar.gz"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Store]:
    """A store that the settings name, as an operator would."""
    with running_store() as store:
        for name, value in {
            "S3_BUCKET": "archives",
            "S3_ENDPOINT_URL": store.url,
            "S3_ACCESS_KEY_ID": "visibly-fake",
            "S3_SECRET_ACCESS_KEY": "visibly-fake-secret",
        }.items():
            monkeypatch.setenv(name, value)
        settings.STORAGES = {**settings.STORAGES, "default": storage.uploads()}
        settings.IS_ON_FLY = True
        yield store


def save(content: bytes) -> str:
    with NamedTemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return str(default_storage.save(NAME, File(file)))


@pytest.mark.parametrize("size", [0, 300_000, 20 * MEGABYTE], ids=["empty", "small", "in parts"])
def test_what_is_stored_comes_back_as_it_was(store, size):
    content = os.urandom(size)

    assert save(content) == NAME

    assert store.objects == {f"archives/{NAME}": content}
    with default_storage.open(NAME) as stored:
        assert b"".join(iter(lambda: stored.read(MEGABYTE), b"")) == content


def test_a_large_one_is_fetched_without_having_it_in_memory(store):
    store.objects[f"archives/{NAME}"] = os.urandom(96 * MEGABYTE)
    default_storage.size(NAME)  # what is loaded once is loaded
    length = 0
    tracemalloc.start()
    try:
        with default_storage.open(NAME) as stored:
            while piece := stored.read(MEGABYTE):
                length += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == 96 * MEGABYTE
    assert peak < 64 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"


def test_one_that_is_gone_is_a_file_that_is_not_found(store):
    with pytest.raises(FileNotFoundError):
        default_storage.open(NAME)


def test_removing_can_be_repeated(store):
    save(b"x")
    archive_storage.remove(NAME)
    assert store.objects == {}
    archive_storage.remove(NAME)


@pytest.fixture
def shop(alice, sandbox):
    app = make_deployment(alice)
    sandbox.add_fly_app(app.fly_app_id)
    return app


ARCHIVE = packed(entry("app.js", b"run()"))
BODY = {"appName": "shop", "archive": base64.b64encode(ARCHIVE).decode()}


@pytest.mark.django_db(transaction=True)
def test_a_push_ends_in_the_bucket_on_fly_too_and_a_cancel_takes_it_out(alice_api, shop, store):
    assert alice_api.post("/api/deploy/push", BODY).status_code == 200
    assert store.objects == {f"archives/{Build.objects.get().archive}": ARCHIVE}

    assert alice_api.post("/api/deploy/cancel", {"appName": "shop"}).status_code == 200
    assert store.objects == {}


@pytest.mark.django_db
def test_a_store_that_refuses_is_a_503_which_tells_nothing_of_it(alice_api, shop, store):
    store.refuses = 403
    answer = alice_api.post("/api/deploy/push", BODY)
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "The archive can't be stored right now. Push again in a moment."},
    )
    assert Build.objects.get().state == Build.State.FAILED
