"""Connections of people who no longer fit the sign-up policy: they are deleted at Nango too (`access_ended`).

They are only marked here, with the rest of what ends. A worker deletes them, and tries again what fails, as it finishes
what an owner's own deletion leaves behind (`unfinished`).
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max
from django.template.defaultfilters import pluralize
from django.utils import timezone

from accounts.services.access_ended import Ended, part
from accounts.services.departures import Returned, left_behind, on_return
from integrations.models import Connection

State = Connection.State


@part("connections")
def _revoke(ended: Ended) -> int:
    """Have them deleted at Nango: at once, or when they have been kept for as long as operators want."""
    if not ended.has_left:
        return 0
    due = ended.now + timedelta(hours=settings.LEAVERS_KEEP_CONNECTIONS_HOURS)
    own = Connection.objects.of(ended.user)
    mark = {"state": State.DELETING, "failures": 0, "try_again_at": None}
    # What is being made now is nobody's yet, so nothing is lost with it.
    half_made = own.filter(state=State.CLAIMING).update(deleting_since=ended.now, **mark)
    return half_made + own.filter(state=State.ACTIVE).update(deleting_since=due, **mark)


@on_return
def _keep(returned: Returned) -> None:
    """Those whose time has not come are the person's again."""
    waiting = Connection.objects.of(returned.user).filter(state=State.DELETING, deleting_since__gt=returned.now)
    waiting.update(state=State.ACTIVE, deleting_since=None)


@left_behind
def _to_be_deleted(user_ids: set[uuid.UUID]) -> Mapping[uuid.UUID, list[str]]:
    """How many are still at Nango, and until when they are kept."""
    left = Connection.objects.filter(owner__in=user_ids, state=State.DELETING, deleted_at=None)
    counts = left.order_by().values_list("owner").annotate(count=Count("pk"), until=Max("deleting_since"))
    return {owner_id: [_sentence(count, until)] for owner_id, count, until in counts}


def _sentence(count: int, until: datetime | None) -> str:
    what = f"{count} connection{pluralize(count)} to be deleted at Nango"
    is_kept = until is not None and until > timezone.now()
    return f"{what}, kept until {until:%-d %B, %H:%M} UTC" if is_kept else what
