"""How the machines of deployed apps are, read of Fly's list of all and kept in our rows: nobody who polls asks Fly."""

import logging
from collections import defaultdict
from datetime import datetime

from django.conf import settings

from core.errors import ApplicationError
from deployments.models import Deployment
from fly.clients.machines_api import Fly

logger = logging.getLogger(__name__)

GONE = "gone"
_OVER = frozenset({"destroying", "destroyed", "replaced", "migrated"})
# Of several machines the one that does best counts: it answers.
_BEST_FIRST = ("started", "starting", "created", "replacing", "updating", "restarting", "stopping", "stopped")


def note_states(*, now: datetime) -> None:
    """Keep what Fly's list says of each app's machine. Without a token, apps or an answer nothing changes."""
    apps = Deployment.objects.filter(state=Deployment.State.READY)
    if not settings.FLY_API_TOKEN or not apps.exists():
        return
    names = set(apps.values_list("fly_app_id", flat=True))
    states: dict[str, str] = {}
    is_whole = True
    try:
        for page in Fly.from_settings().pages_of_machines():
            is_whole = is_whole and not page.error_regions
            for machine in page.machines:
                if machine.app_name in names and machine.process_group and machine.state not in _OVER:
                    states[machine.app_name] = _better(states.get(machine.app_name), machine.state)
    except ApplicationError as error:
        logger.warning("the states of machines are not known: %s", type(error).__name__)
        return
    if is_whole:
        states |= dict.fromkeys(names - states.keys(), GONE)
    by_state = defaultdict(list)
    for name, state in states.items():
        by_state[state[:30]].append(name)
    for state, those in by_state.items():
        apps.filter(fly_app__in=those).update(machine_state=state, machine_state_at=now)


def _better(one: str | None, other: str) -> str:
    return other if one is None or _rank(other) < _rank(one) else one


def _rank(state: str) -> int:
    return _BEST_FIRST.index(state) if state in _BEST_FIRST else len(_BEST_FIRST)
