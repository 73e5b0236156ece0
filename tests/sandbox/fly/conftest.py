"""Fly for its own tests: its machines stand still until a test lets time pass."""

import pytest
import urllib3

from tests.sandbox.fly.caller import FlyCaller
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def fly(sandbox_process: SandboxProcess, http: urllib3.PoolManager) -> FlyCaller:
    """The stand-in for Fly, with the organization's token and an app called `shop`."""
    sandbox_process.fly_clock(factor=0)
    caller = FlyCaller(sandbox_process.fly_url, http)
    caller.make_app("shop")
    return caller
