"""What the operators' front page says about connections."""

from datetime import datetime

from django.db.models import Count, Q
from django.urls import reverse

from config.core.dashboard import Figure
from integrations.models import Connection

TROUBLED = Q(needs_reconnect=True) | Q(missing_since__isnull=False)


def figures(*, now: datetime) -> list[Figure]:  # noqa: ARG001 - every app's figures are as of `now`
    """Failing connections, of how many."""
    counts = Connection.objects.aggregate(all=Count("pk"), troubled=Count("pk", filter=TROUBLED))
    return [
        Figure(
            title="Failing connections",
            value=counts["troubled"],
            note=f"of {counts['all']}",
            path=f"{reverse('admin:integrations_connection_changelist')}?attention=yes",
            icon="link_off",
            tone="danger" if counts["troubled"] else "",
        )
    ]


def troubled_connections(*, limit: int = 5) -> list[Connection]:
    """The newest connections that need to be connected again or are gone at Nango, with their owners."""
    return list(Connection.objects.filter(TROUBLED).select_related("owner")[:limit])
