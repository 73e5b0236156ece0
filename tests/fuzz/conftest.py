"""The running server for requests that change nothing at other services."""

from typing import Any

import pytest

from tests.gunicorn_process import GunicornProcess


@pytest.fixture
def quiet_server(transactional_db: None, running_server: GunicornProcess) -> Any:
    """The server that runs anyway, as it is: what it counted so far is part of a bad day."""
    return running_server
