"""A machine for each test, none of which is left."""

from collections.abc import Iterator

import pytest

from tests.clouddev.image.booted_machine import BootedMachine


@pytest.fixture
def machine() -> Iterator[BootedMachine]:
    booted = BootedMachine()
    yield booted
    booted.remove()
