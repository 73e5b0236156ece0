"""A client, and its flow."""

from typing import Any

import pytest
from django.db import connection

from accounts.models import OAuthClient
from tests.accounts.oauth.flows import Flow, make_client


@pytest.fixture
def notes(db: None) -> OAuthClient:
    """A web application that an operator has looked at."""
    return make_client()


@pytest.fixture
def flow(notes: OAuthClient) -> Flow:
    return Flow()


@pytest.fixture
def signed_in(flow: Flow, alices: Any) -> dict[str, Any]:
    """What the client has got with alice's consent."""
    return flow.sign_in(alices)


@pytest.fixture
def dumped(db: None) -> Any:
    """All that the tables hold, as text."""

    def dump() -> str:
        with connection.cursor() as cursor:
            names = connection.introspection.table_names(cursor)
            rows = []
            for name in names:
                cursor.execute(f'SELECT t::text FROM "{name}" t')
                rows += [row[0] for row in cursor.fetchall()]
        return "\n".join(rows)

    return dump
