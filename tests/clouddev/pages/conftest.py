"""The browsers of the cast, and alice's machine "studio" at Fly, with bob as a member."""

import pytest

from tests.clouddev.builders import add_member, make_machine
from tests.clouddev.pages.workspaces import browser_of


@pytest.fixture
def alices(alice):
    return browser_of(alice)


@pytest.fixture
def bobs(bob):
    return browser_of(bob)


@pytest.fixture
def charlies(charlie):
    return browser_of(charlie)


@pytest.fixture
def studio(alice, bob, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    add_member(machine, bob)
    return machine
