"""A server that can make machines, and alice's machine "studio" with bob as a member."""

from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import User
from clouddev.models import Machine
from tests.clouddev.builders import add_member, make_machine
from tests.sandbox_process import SandboxProcess


@pytest.fixture(autouse=True)
def _data_database(settings: Any) -> None:
    """There is one, as far as creating goes: workers alone talk to it."""
    settings.DATABASE_DATA_URL = "postgresql://admin:not-a-secret@127.0.0.1:9/data"
    settings.FLY_REGION = "iad"


@pytest.fixture
def studio(alice: User, bob: User) -> Machine:
    """alice's machine, which bob may use, as it is in the database."""
    machine = make_machine(alice, "studio")
    add_member(machine, bob)
    return machine


@pytest.fixture
def studio_at_fly(alice: User, bob: User, sandbox: SandboxProcess) -> Machine:
    """The same, running at Fly."""
    machine = make_machine(alice, "studio", sandbox=sandbox)
    add_member(machine, bob)
    sandbox.clear_requests()
    cache.clear()
    return machine
