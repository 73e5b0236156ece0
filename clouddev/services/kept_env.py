"""What becomes of the variables that somebody gave for a machine, once it is made or could not be made.

They are sealed in its row until the machine is there. After a failure they stay for an hour, so that it can be tried
again as it was wanted, and no longer than its owner may use this server.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Value, When

from accounts.models import User
from clouddev.models import Machine
from clouddev.models.machines import MachineQuerySet

KEPT_FOR = timedelta(hours=1)
ERASED: Mapping[str, Any] = {"sealed_environment": None, "variables_kept_until": None}
State = Machine.State
# Beside the row, not joined to it: so an update looks at the row once more that somebody has changed meanwhile.
_MAY_USE = Exists(User.objects.filter(pk=OuterRef("owner_id"), is_active=True))


def kept_after_failure(*, now: datetime) -> dict[str, Any]:
    """What to write to the row of a machine that could not be made."""
    return {
        "sealed_environment": Case(When(_MAY_USE, then=F("sealed_environment"))),
        "variables_kept_until": Case(When(_MAY_USE, then=Value(now + KEPT_FOR))),
    }


def are_known(machine: Machine, *, now: datetime) -> bool:
    """Whether a failed machine can be made again with all that was wanted. Asks for no sealed column."""
    until = machine.variables_kept_until
    return not machine.had_variables or (until is not None and now < until)


def erase(machines: MachineQuerySet) -> int:
    """Erase what is kept for another try at these; says of how many."""
    return machines.filter(state__in=[State.UNDOING, State.FAILED], variables_kept_until__isnull=False).update(**ERASED)


def forget_over(*, now: datetime) -> int:
    """Erase what has been kept for its hour, or that failed while its owner's access ended. Can be repeated."""
    # Each for itself: with an "or" between them PostgreSQL would read all people to find the few who may not.
    return erase(Machine.objects.filter(variables_kept_until__lte=now)) + erase(Machine.objects.filter(~_MAY_USE))
