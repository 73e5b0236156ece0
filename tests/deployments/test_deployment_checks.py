"""The system checks of deployments."""

import pytest

from deployments.checks import archives_reach_the_workers

FOLDER, BUCKET = "django.core.files.storage.FileSystemStorage", "storages.backends.s3.S3Storage"


@pytest.mark.parametrize(
    ("token", "backend", "expected"),
    [
        ("sandbox-fly-org-token", FOLDER, ["crayon.W031"]),
        ("sandbox-fly-org-token", BUCKET, []),
        ("", FOLDER, []),
    ],
    ids=["a folder", "a bucket", "no Fly"],
)
def test_w031_archives_that_other_machines_could_not_see_are_said(settings, token, backend, expected):
    settings.FLY_API_TOKEN = token
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend}}
    assert [message.id for message in archives_reach_the_workers(None)] == expected


def test_w031_says_what_to_set(settings):
    settings.FLY_API_TOKEN = "sandbox-fly-org-token"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": FOLDER}}
    [message] = archives_reach_the_workers(None)
    assert "S3_BUCKET" in message.hint
    assert "STORAGE_FOLDER" in message.hint
