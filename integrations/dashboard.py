"""What the operators' front page says about connections."""

from datetime import datetime

from django.db.models import Count, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import reverse

from core.dashboard import Figure
from integrations.models import Connection, StrangeConnection, is_overdue


def is_troubled(*, now: datetime) -> Q:
    """What the connections are that somebody should look at."""
    return Q(needs_reconnect=True) | Q(missing_since__isnull=False) | is_overdue(now=now)


def figures(*, now: datetime) -> list[Figure]:
    """Failing connections, of how many, and what Nango lists that can't be used, if anything."""
    each = StrangeConnection.objects.order_by().annotate(same=Value(1)).values("same")
    counts = Connection.objects.aggregate(
        all=Count("pk"),
        troubled=Count("pk", filter=is_troubled(now=now)),
        # Along with the others in one query, which takes nothing that is no aggregate.
        strange=Count("pk") * 0 + Coalesce(Subquery(each.annotate(count=Count("pk")).values("count")), 0),
    )
    strange = counts["strange"]
    unusable = Figure(
        title="Unusable connections",
        value=strange,
        note="listed by Nango",
        path=reverse("admin:integrations_strangeconnection_changelist"),
        icon="help",
        tone="warning",
    )
    return [
        Figure(
            title="Failing connections",
            value=counts["troubled"],
            note=f"of {counts['all']}",
            path=f"{reverse('admin:integrations_connection_changelist')}?attention=yes",
            icon="link_off",
            tone="danger" if counts["troubled"] else "",
        ),
        *([unusable] if strange else []),
    ]


def troubled_connections(*, now: datetime, limit: int = 5) -> list[Connection]:
    """The newest connections that need to be connected again, are gone at Nango or won't go, with their owners."""
    return list(Connection.objects.filter(is_troubled(now=now)).select_related("owner")[:limit])
