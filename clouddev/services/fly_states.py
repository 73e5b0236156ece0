"""What Fly says of all machines at once: one question for the whole organization, kept for a few seconds."""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from django.conf import settings

from clouddev.models import Machine
from clouddev.names import is_fly_name
from clouddev.services import desired_state
from core import cache
from core.errors import ApplicationError
from core.http_client import ServiceTimeout
from fly.clients.machines_api import Fly, UnknownApp

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 4
# After a failure, so that a Fly that is down is not asked by every caller.
_FAILURE_KEPT_SECONDS = 15
# What is said meanwhile.
_LAST_KEPT_SECONDS = 60
# For who comes while another one asks for the first time.
_PATIENCE_SECONDS = 1.0
# All pages together; each has the client's own budget besides.
_BUDGET_SECONDS = 8.0
# What Fly doesn't tell of together with the others is asked about by itself, which is remembered.
_ALONE_KEPT_SECONDS = 15
# So long some of Fly's hosts may not know what was made.
_SETTLES_SECONDS = 70
UNKNOWN = "unknown"
# The word for a machine that Fly has lost, at which tools stop waiting.
LOST = "error"
LOST_SENTENCE = "Fly no longer has this workspace. Destroy it and create it again."
LONGEST_WORD = 30
State = Machine.State
# What a machine is called while Fly can't know of it yet, or needs no longer be asked.
OWN_WORDS: dict[str, str] = {
    State.CREATING: "creating",
    State.UNDOING: "error",
    State.FAILED: "error",
    State.DESTROYING: "destroying",
}
_GONE = frozenset({"destroyed", "destroying", "replaced", "migrated"})
_asking = threading.Lock()


@dataclass(frozen=True, slots=True)
class Heard:
    """Fly's own word for the state of each dev machine, by its app's name; None is when Fly couldn't be asked."""

    words: dict[str, str]
    asked_at: float | None


_NOTHING = Heard({}, None)


class Row(NamedTuple):
    """What our row knows of a ready machine."""

    name: str
    fly_state: str
    ready_at: datetime | None


def row_of(machine: Machine) -> Row:
    """Give the same for a machine whose row the caller has."""
    return Row(machine.fly_app_id, machine.fly_state, machine.ready_at)


def words_for(rows: Iterable[Row]) -> dict[str, str]:
    """Fly's word for each of these ready machines, by its name at Fly: LOST or UNKNOWN where there is none.

    One that became ready while what Fly had said before was kept is as its row says. What Fly should tell of and
    doesn't is asked about by itself, one at a time: its region may not answer, or it is gone.
    """
    told = list(rows)
    found = heard() if told else _NOTHING
    words, may_ask = {}, True
    for row in told:
        word = found.words.get(row.name) or _own_word(row, found.asked_at)
        if not word and found.asked_at is not None:
            word = _kept_word(row.name)
            if not word and may_ask:
                word, may_ask = _asked_alone(row.name), False
        words[row.name] = word or UNKNOWN
    return words


def _own_word(row: Row, asked_at: float | None) -> str:
    """What our row says of a machine that became ready after Fly was asked, or just before; "" of others."""
    if asked_at is None or row.ready_at is None or row.ready_at.timestamp() < asked_at - _SETTLES_SECONDS:
        return ""
    return row.fly_state or UNKNOWN


def _kept_word(name: str) -> str:
    return str(cache.read([_alone_key(name)]).get(_alone_key(name)) or "")


def _asked_alone(name: str) -> str:
    try:
        there = Fly.from_settings(shares_budget=True).list_machines(name)
        word = next((machine.state for machine in there if machine.state not in _GONE), LOST)
    except UnknownApp:
        word = LOST
    except ApplicationError as error:
        logger.warning("Fly can't be asked about %s: %s", name, type(error).__name__)
        word = UNKNOWN
    cache.write(_alone_key(name), word, seconds=_ALONE_KEPT_SECONDS)
    return word


def states() -> dict[str, str]:
    """Fly's own word for the state of each dev machine, by its app's name; {} where nothing is known."""
    return heard().words


def heard() -> Heard:
    """What Fly says of all dev machines; while it can't be asked, what was heard in the last minute.

    An app's name is as good as unknown to whoever may not see the machine, so callers look up by rows of their own.
    """
    found = _kept(_key())
    if found is not None:
        return found
    # One of those who come at once asks, since Fly takes a question per second; when it hangs, so does one thread.
    last = _kept(_last_key())
    if not _asking.acquire(timeout=_PATIENCE_SECONDS if last is None else 0):
        return last or _NOTHING
    try:
        found = _kept(_key())
        return _asked() if found is None else found
    finally:
        _asking.release()


def forget_states() -> None:
    """Ask anew next time: something was started or stopped."""
    cache.drop(_key())
    cache.drop(_last_key())


def _asked() -> Heard:
    began = time.time()
    try:
        found = Heard(_all_pages(), began)
    except ApplicationError as error:
        logger.warning("Fly can't be asked for the states of machines: %s", type(error).__name__)
        last = _kept(_last_key()) or _NOTHING
        cache.write(_key(), asdict(last), seconds=_FAILURE_KEPT_SECONDS)
        return last
    cache.write(_key(), asdict(found), seconds=_KEPT_SECONDS)
    cache.write(_last_key(), asdict(found), seconds=_LAST_KEPT_SECONDS)
    return found


def _all_pages() -> dict[str, str]:
    """Ask Fly. Raises the client's errors, and ServiceTimeout when the pages take too long in all."""
    until = time.monotonic() + _BUDGET_SECONDS
    found = {}
    for page in Fly.from_settings().pages_of_machines():
        if time.monotonic() > until:
            raise ServiceTimeout("Fly")
        for machine in page.machines:
            if machine.state not in _GONE and is_fly_name(machine.app_name):
                found[machine.app_name] = machine.state
    return found


def _kept(key: str) -> Heard | None:
    found = cache.read([key]).get(key)
    return Heard(found["words"], found["asked_at"]) if isinstance(found, dict) and "words" in found else None


def _alone_key(name: str) -> str:
    return f"clouddev:state:{settings.FLY_ORG}:{name}"


def _key() -> str:
    return f"clouddev:states:{settings.FLY_ORG}"


def _last_key() -> str:
    return f"clouddev:last-states:{settings.FLY_ORG}"


def note_states() -> int:
    """Write Fly's words to the rows of ready machines, for figures and lists; says how many have changed.

    Without such machines, or without a token for Fly, there is nothing to ask.
    """
    ready = Machine.objects.filter(state=State.READY).only("fly_app_id", "fly_state")
    heard = states() if settings.FLY_API_TOKEN and ready.exists() else {}
    if not heard:
        return 0
    changed = []
    for machine in ready:
        word = heard.get(machine.fly_app_id, UNKNOWN)[:LONGEST_WORD]
        if word != machine.fly_state:
            machine.fly_state = word
            changed.append(machine)
    desired_state.forget_complaints(heard_of={machine.pk: machine.fly_state for machine in ready})
    return Machine.objects.bulk_update(changed, ["fly_state"])
