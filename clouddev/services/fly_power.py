"""Asking Fly to start or to stop a machine: for its state first, and then only for what has an effect."""

from collections.abc import Mapping
from dataclasses import dataclass

from clouddev.models import Machine
from clouddev.services import fly_states
from core.errors import Conflict
from core.http_client import ServiceFailed, ServiceTimeout, may_still_arrive
from fly.clients.machines_api import (
    Fly,
    FlyFailed,
    FlyRejected,
    InsufficientCapacity,
    LeaseHeld,
    PreconditionFailed,
    UnknownApp,
    UnknownMachine,
)
from fly.clients.machines_api import Machine as FlyMachine

Wanted = Machine.Wanted
# The states from which Fly takes the order, and those in which it will within seconds, or a minute for `created`.
_TAKES: Mapping[str, frozenset[str]] = {
    Wanted.STARTED: frozenset({"stopped", "suspended", "failed"}),
    Wanted.STOPPED: frozenset({"started", "starting", "restarting", "suspended"}),
}
_TAKES_SOON: Mapping[str, frozenset[str]] = {
    Wanted.STARTED: frozenset({"stopping", "suspending", "created"}),
    Wanted.STOPPED: frozenset({"created", "creating", "replacing", "updating", "suspending"}),
}
_OBEYS: Mapping[str, frozenset[str]] = {
    Wanted.STARTED: frozenset({"starting", "started"}),
    Wanted.STOPPED: frozenset({"stopping", "stopped"}),
}


class GoneAtFly(Conflict):
    """409: Fly has no machine any more."""

    default = fly_states.LOST_SENTENCE


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many machines obey because of this, and how many could not be made to yet."""

    changed: int = 0
    waiting: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be asked for."""
        return not self.waiting


def bring(machine: Machine, wanted: str) -> Outcome:
    """Ask Fly to start or stop all of the app's machines, within about five seconds, without waiting for the outcome.

    What Fly can't do in the machine's state of now, or doesn't answer in time, is `waiting`; asking again does no
    harm. Raises GoneAtFly, InsufficientCapacity and the Fly client's errors.
    """
    fly = Fly.from_settings(shares_budget=True)
    try:
        there = fly.list_machines(machine.fly_app_id)
        obeying = [_obeys(fly, machine, item, wanted) for item in there if _matters(item, wanted)]
    except (UnknownApp, UnknownMachine) as error:
        raise GoneAtFly from error
    except ServiceTimeout:
        return Outcome(waiting=1)
    finally:
        fly_states.forget_states()
    if not there:
        raise GoneAtFly
    return Outcome(changed=obeying.count(True), waiting=obeying.count(False))


def _matters(item: FlyMachine, wanted: str) -> bool:
    """Whether it is not as wanted already, and not about to be."""
    return item.state in _TAKES[wanted] | _TAKES_SOON[wanted]


def _obeys(fly: Fly, machine: Machine, item: FlyMachine, wanted: str) -> bool:
    """Give the order to one machine; says whether Fly has taken it."""
    if item.state in _TAKES_SOON[wanted]:
        return False
    call = Fly.start_machine if wanted == Wanted.STARTED else Fly.stop_machine
    try:
        call(fly, machine.fly_app_id, item.id)
    except (PreconditionFailed, LeaseHeld):
        return False
    except InsufficientCapacity as error:
        raise InsufficientCapacity(
            f"Fly has no room for the workspace in {item.region} right now. Try again in a few minutes."
        ) from error
    except FlyRejected:
        raise
    except (ServiceFailed, ServiceTimeout, FlyFailed) as error:
        return _obeys_all_the_same(fly, machine, item, wanted, error)
    return True


def _obeys_all_the_same(fly: Fly, machine: Machine, item: FlyMachine, wanted: str, error: Exception) -> bool:
    """Whether an order that failed was carried out; raises `error` where it surely never will be."""
    try:
        if fly.get_machine(machine.fly_app_id, item.id).state in _OBEYS[wanted]:
            return True
    except (ServiceFailed, ServiceTimeout, FlyFailed):
        pass  # the failure before it says more
    if not may_still_arrive(error):
        raise error
    return False
