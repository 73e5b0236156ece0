"""Giving a person a link on which they connect, or reconnect, an account.

The link is to a page of ours, and its token is ours: with Nango's somebody could be led to connect their account to
another person.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts.audit import record
from accounts.principals import Principal
from core.rate_limits import RateLimit
from integrations.models import Connection
from integrations.services import connect_links, credential_cache
from integrations.services.access import require_own, require_tagged_at_nango, tags_of
from integrations.services.decisions import require_creation
from integrations.sources.nango import ConnectSession, Nango

SESSIONS = RateLimit("connect-sessions", "30/minute")
# A session's half hour, and some minutes to finish at the provider what was begun at its end.
_RECONNECTING_LASTS = timedelta(minutes=40)


def create_connect_session(
    *, caller: Principal, integration_id: str, connection_id: str | None, now: datetime
) -> ConnectSession:
    """A link for half an hour; with `connection_id` it renews that connection of the caller's.

    Raises Denied, UnknownIntegration, UnknownConnection, TooManyRequests and the client's errors.
    """
    nango = Nango.from_settings()
    SESSIONS.spend(str(caller.id))
    if connection_id is None:
        require_creation(caller)
        session = nango.create_connect_session(integration_id=integration_id, tags=tags_of(caller))
        with transaction.atomic():
            record("connect_session.created", actor=caller, organization_id=caller.organization_id,
                   target_type="Integration", target_id=integration_id)  # fmt: skip
            return _through_our_page(caller, session, integration_id, None, now=now)
    own = require_own(
        caller=caller, integration_id=integration_id, connection_id=connection_id, action="connections.update", now=now
    )
    # A session would give the connection the caller's tags, so those that it bears must be theirs already.
    require_tagged_at_nango(nango, caller=caller, integration_id=integration_id, connection_id=connection_id)
    _expect_new_credentials(integration_id=integration_id, connection_id=connection_id, now=now)
    # Nango takes the session's tags for the connection's whole set, so they are all sent again.
    session = nango.create_reconnect_session(
        integration_id=integration_id, connection_id=connection_id, tags=tags_of(caller)
    )
    with transaction.atomic():
        record("connection.reconnect_started", actor=caller, organization_id=caller.organization_id,
               target_type="Connection", target_id=str(own.id))  # fmt: skip
        return _through_our_page(caller, session, integration_id, connection_id, now=now)


def _through_our_page(
    caller: Principal, session: ConnectSession, integration_id: str, connection_id: str | None, *, now: datetime
) -> ConnectSession:
    """The session as the caller gets it: its token and its link lead to our page."""
    token = connect_links.make(
        caller=caller, integration_id=integration_id, connection_id=connection_id, session=session, now=now
    )
    link = f"{settings.PUBLIC_URL}{reverse('connect', query={'link': token})}"
    return replace(session, token=token, connect_link=link)


@transaction.atomic
def _expect_new_credentials(*, integration_id: str, connection_id: str, now: datetime) -> None:
    """Drop what is kept of the connection, and keep nothing while it may be renewed at any moment."""
    rows = Connection.objects.at(integration_id=integration_id, connection_id=connection_id)
    rows.update(reconnecting_until=now + _RECONNECTING_LASTS)
    credential_cache.drop(integration_id=integration_id, connection_id=connection_id)
