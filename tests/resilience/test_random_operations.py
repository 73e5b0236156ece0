"""People at work while everything breaks: whatever was acknowledged holds, nothing is left over, nobody sees too much.

`STORM_SEEDS=1,2,3 STORM_SECONDS=120` makes it another one, or a longer one; a failure says its seed.
"""

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dev.postgres import remove_database
from tests.resilience.storm.faults import Storm
from tests.resilience.storm.invariants import Invariants
from tests.resilience.storm.model import Journal
from tests.resilience.storm.owners import Onlooker, Owner
from tests.resilience.storm.people import Person
from tests.resilience.storm.world import World

SEEDS = os.environ.get("STORM_SEEDS", "1").split(",")
SECONDS = float(os.environ.get("STORM_SECONDS", "20"))


@pytest.fixture
def world(sandbox, tmp_path):
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        state = Path(above) / "state"
        with World(sandbox=sandbox, folder=tmp_path, state=state) as all_of_it:
            yield all_of_it
        remove_database(state)


# On a machine that has far too much to do starting all of it takes minutes.
@pytest.mark.slow(110)
@pytest.mark.timeout(2 * SECONDS + 560)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_was_acknowledged_holds_while_everything_breaks(world, tmp_path, seed):
    journal = Journal()
    owners = [
        Owner(world, journal, login, f"{login}-{number}", seed, friend=friend)
        for login, friend in (("alice", "bob"), ("bob", "alice"))
        for number in (1, 2)
    ]
    people: list[Person] = [*owners, Onlooker(world, journal, "charlie", "charlie-1", seed, owners=owners)]
    storm, invariants = Storm(world, journal, seed), Invariants(world, journal, owners, people)

    _live(people, storm)
    storm.calm()
    invariants.wait_for_quiet()
    storm.refuse()
    # Machines take as long as they do at Fly.
    world.sandbox.fly_clock(factor=1)
    with ThreadPoolExecutor() as pool:
        list(pool.map(Owner.finish, owners))
    world.sandbox.fly_clock(factor=10)
    invariants.wait_for_quiet()
    storm.kill_senders(patience=30)
    invariants.wait_for_quiet()
    invariants.check()

    (tmp_path / "journal").write_text("\n".join(journal.lines))
    for name, text in world.written().items():
        (tmp_path / f"{name}.log").write_text(text)
    asked = sum(journal.statuses.values())
    assert not journal.complaints, "\n".join(
        [f"seed {seed}, {asked} answers; the logs are in {tmp_path}", *journal.lines, "", *journal.complaints]
    )
    assert journal.statuses[200] > asked / 4, journal.statuses


def _live(people: list[Person], storm: Storm) -> None:
    """Let everybody do what they do, and everything break."""
    over = threading.Event()
    threads = [threading.Thread(target=person.live, args=[over], name=person.name) for person in people]
    for thread in threads:
        thread.start()
    try:
        storm.wait_for_ground(people)
        storm.rage(SECONDS)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
