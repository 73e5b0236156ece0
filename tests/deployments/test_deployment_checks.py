"""The system checks of deployments."""

import pytest

from deployments.checks import archives_reach_the_workers

FOLDER, BUCKET = "django.core.files.storage.FileSystemStorage", "storages.backends.s3.S3Storage"
TOKEN = "sandbox-fly-org-token"


@pytest.mark.parametrize(
    ("token", "backend", "is_on_fly", "expected"),
    [
        (TOKEN, FOLDER, False, ["crayon.W031"]),
        (TOKEN, FOLDER, True, ["crayon.E032"]),
        (TOKEN, BUCKET, False, []),
        (TOKEN, BUCKET, True, []),
        ("", FOLDER, False, []),
        ("", FOLDER, True, []),
    ],
    ids=["a folder", "a folder on Fly", "a bucket", "a bucket on Fly", "no Fly", "on Fly without a token"],
)
def test_archives_that_other_machines_could_not_see_are_said(settings, token, backend, is_on_fly, expected):
    settings.FLY_API_TOKEN, settings.IS_ON_FLY = token, is_on_fly
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend}}
    assert [message.id for message in archives_reach_the_workers(None)] == expected


def test_w031_says_what_to_set(settings):
    settings.FLY_API_TOKEN = TOKEN
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": FOLDER}}
    [message] = archives_reach_the_workers(None)
    assert "S3_BUCKET" in message.hint
    assert "STORAGE_FOLDER" in message.hint


def test_e032_says_what_to_set(settings):
    settings.FLY_API_TOKEN, settings.IS_ON_FLY = TOKEN, True
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": FOLDER}}
    [message] = archives_reach_the_workers(None)
    assert message.hint == "Set S3_BUCKET and its key."
