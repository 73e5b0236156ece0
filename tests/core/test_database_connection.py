"""How PostgreSQL is connected to."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_a_server_that_goes_silent_is_given_up_within_half_a_minute():
    connection.ensure_connection()
    used = connection.connection.info.get_parameters()
    assert {name: used[name] for name in used if name.startswith(("keepalives", "tcp_"))} == {
        "keepalives": "1",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
