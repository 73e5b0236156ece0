"""What Fly says of all machines at once: one question for the whole organization, kept for a few seconds."""

import logging
import threading
import time

from django.conf import settings

from clouddev.models import Machine
from clouddev.names import is_fly_name
from clouddev.services import wishes
from config.core import cache
from config.core.errors import ApplicationError
from config.core.outgoing import ServiceTimeout
from deployments.clients.fly import Fly

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
UNKNOWN = "unknown"
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


def states() -> dict[str, str]:
    """Fly's own word for the state of each dev machine, by its app's name.

    While Fly can't be asked it is what was heard in the last minute, else {}.
    An app's name is as good as unknown to whoever may not see the machine, so callers look up by rows of their own.
    """
    found = _kept(_key())
    if found is not None:
        return found
    # One of those who come at once asks, since Fly takes a question per second; when it hangs, so does one thread.
    last = _kept(_last_key())
    if not _asking.acquire(timeout=_PATIENCE_SECONDS if last is None else 0):
        return last or {}
    try:
        found = _kept(_key())
        return _asked() if found is None else found
    finally:
        _asking.release()


def forget_states() -> None:
    """Ask anew next time: something was started or stopped."""
    cache.drop(_key())
    cache.drop(_last_key())


def _asked() -> dict[str, str]:
    try:
        found = _all_pages()
    except ApplicationError as error:
        logger.warning("Fly can't be asked for the states of machines: %s", type(error).__name__)
        last = _kept(_last_key()) or {}
        cache.write(_key(), last, seconds=_FAILURE_KEPT_SECONDS)
        return last
    cache.write(_key(), found, seconds=_KEPT_SECONDS)
    cache.write(_last_key(), found, seconds=_LAST_KEPT_SECONDS)
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


def _kept(key: str) -> dict[str, str] | None:
    found = cache.read([key]).get(key)
    return found if isinstance(found, dict) else None


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
    wishes.forget_complaints(heard_of={machine.pk: machine.fly_state for machine in ready})
    return Machine.objects.bulk_update(changed, ["fly_state"])
