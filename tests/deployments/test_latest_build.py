"""Which of an app's builds is the latest: the one accepted last, wherever it is told."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.database import fetch_row
from deployments.models import Build
from deployments.services import app_logs, builds, cancellation, status
from tests.deployments.builders import make_build, make_deployment
from tests.fly.fly_assertions import caller
from tests.operators import make_operator

pytestmark = pytest.mark.django_db
State = Build.State
NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def shop(alice):
    return make_deployment(alice)


@pytest.fixture
def expected(shop):
    """The one accepted last, among one that was made later and two that were never accepted."""
    latest = make_build(shop, state=State.LIVE, created_at=NOW - 3 * HOUR, accepted_at=NOW - HOUR)
    make_build(shop, state=State.CANCELED, created_at=NOW - 2 * HOUR)
    make_build(shop, state=State.FAILED, created_at=NOW, accepted_at=None)
    make_build(shop, state=State.FAILED, created_at=NOW - 4 * HOUR, accepted_at=None)
    return latest


def test_all_who_tell_it_mean_the_same(alice, shop, expected):
    assert status.status_of(caller=caller(alice), app_name="shop", now=NOW).status == "running"
    assert app_logs.logs_of(caller=caller(alice), app_name="shop", offset=0).build_id == expected.pk
    assert builds.latest_builds([shop]) == {shop.pk: expected}


def test_canceling_again_what_was_canceled_is_fine_though_another_push_never_came(alice, shop):
    make_build(shop, state=State.CANCELED, created_at=NOW - HOUR)
    make_build(shop, state=State.FAILED, created_at=NOW, accepted_at=None)
    cancellation.cancel(caller=alice, app_name="shop", now=NOW)


def test_the_pages_show_it(alice, shop, expected):
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    for path in ("/deployments/", f"/deployments/{shop.pk}/"):
        page = client.get(path)
        row = page.context["rows"][0] if path == "/deployments/" else page.context
        assert (row["latest"], row["badge"].word) == (expected, "Live")


def test_operators_see_it(shop, expected):
    client = Client()
    client.force_login(make_operator(), backend="django.contrib.auth.backends.ModelBackend")
    [listed] = client.get("/admin/deployments/deployment/").context["cl"].result_list
    assert listed.latest_state == expected.state


def test_of_those_that_were_never_accepted_the_newest_counts_when_there_is_no_other(shop):
    newest = make_build(shop, state=State.QUEUED, created_at=NOW, accepted_at=None)
    make_build(shop, state=State.FAILED, created_at=NOW - HOUR, accepted_at=None)
    assert builds.latest_builds([shop]) == {shop.pk: newest}


@pytest.mark.parametrize("statement", [status._FIND, app_logs._FIND], ids=["status", "logs"])
def test_an_index_leads_to_it_so_that_a_poll_reads_one_build(alice, shop, expected, statement):
    with connection.cursor() as cursor:
        # Few rows are read in a row otherwise.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        values = [alice.id, shop.organization_id, "shop", "destroying"][: statement.count("%s")]
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using build_latest on deployments_build" in plan
    assert "Sort" not in plan
    assert fetch_row(statement, values) is not None
