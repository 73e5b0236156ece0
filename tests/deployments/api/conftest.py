"""Where pushes are taken in, and an app to push."""

from pathlib import Path
from typing import Any

import pytest

from deployments.models import Deployment
from tests.deployments.builders import make_deployment


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where archives are stored."""
    place = tmp_path / "storage"
    options = {"location": str(place), "file_permissions_mode": 0o600}
    default = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return place


@pytest.fixture
def shop(alice, sandbox) -> Deployment:
    """alice's app, at Fly too."""
    app = make_deployment(alice)
    sandbox.add_fly_app(app.fly_app_id)
    return app
