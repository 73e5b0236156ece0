"""What workers do again and again costs what there is to do, however much has been done before."""

import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django import app

from accounts.models import User
from accounts.services import cli_login, pruning
from clouddev.services import cron, desired_state, idle_policy, kept_env, leavers, offers, provisioning
from core import database
from deployments.services import building
from integrations.services import use_log
from integrations.services.connect_links import forget_old
from integrations.services.unfinished import finish_left_behind
from tests.core.grown_tables import grow

pytestmark = pytest.mark.django_db
ROWS = 5000
_DO: dict[str, Callable[[], object]] = {
    "accounts.prune": lambda: pruning.prune(now=timezone.now()),
    "accounts.erase_sealed_tokens": lambda: cli_login.erase_expired_tokens(now=timezone.now()),
    "deployments.sweep": building.sweep,
    "clouddev.sweep": lambda: (provisioning.sweep(), desired_state.sweep(now=timezone.now())),
    "clouddev.tick": lambda: (cron.tick(now=timezone.now()), cron.sweep(now=timezone.now())),
    "clouddev.forget_cron_runs": lambda: (
        cron.forget_old_runs(now=timezone.now()),
        offers.forget_over(now=timezone.now()),
    ),
    "integrations.finish": lambda: finish_left_behind(now=timezone.now()),
    "integrations.forget_links": lambda: forget_old(now=timezone.now()),
    "integrations.prune_use_log": lambda: use_log.prune(now=timezone.now()),
    "clouddev.forget_variables": lambda: kept_env.forget_over(now=timezone.now()),
    "clouddev.stop_leavers": lambda: leavers.stop_again(now=timezone.now()),
    "clouddev.look_for_idle": lambda: idle_policy.look(now=timezone.now()),
}
# These compare all that is here with all that is elsewhere, or count it, and read it from end to end for that. Of
# what only ever grows, which is what is over, they read nothing.
_COMPARE = {
    "accounts.look_for_leavers",
    "clouddev.note_states",
    "clouddev.reconcile",
    "deployments.machine_states",
    "fly.reconcile",
    "integrations.reconcile",
}
# procrastinate's own.
_LIBRARY = {"core.rescue_jobs", "core.forget_jobs"}


def test_every_periodic_job_is_looked_at() -> None:
    for module in ("core", "accounts", "fly", "integrations", "deployments", "clouddev"):
        importlib.import_module(f"{module}.tasks")
    assert {name for name, _ in app.periodic_registry.periodic_tasks} == {*_DO, *_COMPARE, *_LIBRARY}


def test_no_periodic_job_reads_a_table_from_end_to_end(alice: User) -> None:
    grow(alice, ROWS)
    read = {name: sorted(set(_expensive(do))) for name, do in _DO.items()}
    assert read == {name: [] for name in _DO}


def test_pruning_goes_on_where_there_is_more_than_one_batch(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(alice, ROWS)
    Session.objects.filter(session_key__startswith="a").delete()
    monkeypatch.setattr(database, "_DELETED_AT_ONCE", 50)
    pruned = pruning.prune(now=timezone.now())
    assert (pruned.logins, pruned.tokens) == (ROWS // 1000 + 1, 2 * ROWS // 1000)
    assert (pruned.keys, pruned.invitations) == (2 * ROWS // 1000, ROWS // 1000)
    assert set(UserSession.objects.values_list("session_key", flat=True)) == set(
        Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_key", flat=True)
    )


def _expensive(do: Callable[[], object]) -> Iterator[str]:
    """The tables that are read from end to end or once for each row, each with the statement that does."""
    with CaptureQueriesContext(connection) as captured:
        do()
    for statement in (query["sql"] for query in captured.captured_queries):
        if statement.split()[0] not in {"SELECT", "UPDATE", "DELETE", "WITH"}:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
            found = cursor.fetchone()[0]
        plan = json.loads(found) if isinstance(found, str) else found
        for node in _nodes(plan[0]["Plan"]):
            if "NOT (" in node.get("Filter", "") and "SubPlan" in node["Filter"]:
                yield f"NOT IN: {statement}"
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in _GROW:
                if "EXISTS" in statement and node["Relation Name"] in _COMPARED_BY_NIGHT:
                    continue
                yield f"{node['Relation Name']}: {statement}"


# Which of them name no session any more is found by one pass over both.
_COMPARED_BY_NIGHT = {"django_session", "usersessions_usersession"}
_GROW = {
    "accounts_accesstoken", "accounts_apikey", "accounts_clilogin", "accounts_invitation",
    "accounts_authorizationcode", "accounts_login",
    "accounts_refreshtoken",
    "accounts_departure",
    "clouddev_cronjob", "clouddev_cronrun", "clouddev_machine",
    "clouddev_offer", "deployments_build", "deployments_deployment", "fly_flyapp", "integrations_connection",
    *_COMPARED_BY_NIGHT,
}  # fmt: skip


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)
