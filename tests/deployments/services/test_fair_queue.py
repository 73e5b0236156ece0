"""Whose build is next: no organization holds every slot, and a long queue of one keeps nobody else waiting."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Organization, User
from core.queues import QUEUES
from deployments.models import Build
from deployments.services.building import lease
from deployments.services.building.fair_queue import builds_in_turn
from deployments.services.building.lease import BuildLease, take, take_in_turn
from tests.deployments.builders import make_build, make_deployment

pytestmark = pytest.mark.django_db
State = Build.State


@pytest.fixture(autouse=True)
def slots(settings: Any) -> None:
    """One worker with three."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET worker_id = NULL; DELETE FROM procrastinate_workers")
    settings.WORKER_CONCURRENCY, settings.BUILDS_PER_ORGANIZATION = 3, 3


def waiting(owner: User, number: int) -> Build:
    """A build that waits, of an app of its own; the higher the number the later it came."""
    at = timezone.now() - timedelta(hours=1) + timedelta(seconds=number)
    deployment = make_deployment(owner, f"app-{number}")
    return make_build(deployment, state=State.QUEUED, created_at=at, accepted_at=at, finished_at=None)


def taken(build: Build) -> Build | None:
    """What a worker does that got this build's job."""
    attempt: BuildLease | None = take_in_turn(build.pk)
    return None if attempt is None else attempt.row


def elsewhere(build: Build, organization: Organization) -> Build:
    """The same build, of an app of another organization."""
    build.deployment.organization = build.organization = organization
    build.deployment.save()
    build.save()
    return build


def running(owner: User, number: int) -> Build:
    """A build that a worker is at."""
    build = waiting(owner, number)
    now = timezone.now()
    Build.objects.filter(pk=build.pk).update(state=State.BUILDING, started_at=now, heartbeat_at=now)
    return build


def end(build: Build) -> None:
    Build.objects.filter(pk=build.pk).update(state=State.FAILED, finished_at=timezone.now())


def test_two_long_builds_of_one_organization_leave_a_slot_to_others(alice: User, charlie: User, settings: Any) -> None:
    settings.WORKER_CONCURRENCY, settings.BUILDS_PER_ORGANIZATION = 2, 2
    first, second, theirs = waiting(alice, 1), waiting(alice, 2), waiting(charlie, 3)
    assert taken(first) == first
    assert taken(second) == theirs
    assert taken(second) is None
    second.refresh_from_db()
    assert (second.state, second.step) == (
        State.QUEUED,
        "Waiting for another build of yours or your organization to end…",
    )


@pytest.mark.parametrize(("workers", "concurrency", "limit", "most"), [
    (0, 1, 2, 1), (0, 2, 2, 1), (0, 3, 2, 2), (0, 3, 3, 2), (2, 2, 3, 3), (2, 1, 2, 1), (1, 50, 2, 2),
])  # fmt: skip
def test_an_organization_runs_one_less_than_there_are_slots(
    alice: User, settings: Any, workers: int, concurrency: int, limit: int, most: int
) -> None:
    """A process has one entry for each queue; those not heard of for long are dead."""
    settings.WORKER_CONCURRENCY, settings.BUILDS_PER_ORGANIZATION = concurrency, limit
    with connection.cursor() as cursor:
        for age in [0] * workers * len(QUEUES) + [60] * len(QUEUES):
            cursor.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))", [age]
            )
    builds = [waiting(alice, number) for number in range(5)]
    assert [taken(build) is not None for build in builds] == [True] * most + [False] * (5 - most)


def test_with_one_slot_organizations_take_turns(alice: User, bob: User, charlie: User, settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1
    flood = [waiting(alice, number) for number in range(4)]
    others = [waiting(bob, 10), waiting(charlie, 11), waiting(bob, 12)]
    order = []
    for _ in range(7):
        row = taken(flood[-1] if not order else next(b for b in flood + others if b not in order))
        assert row is not None
        order.append(row)
        end(row)
    assert order == [flood[0], others[0], others[1], flood[1], others[2], flood[2], flood[3]]


def test_where_accounts_hold_all_slots_and_a_queue_the_next_slot_is_a_newcomers(
    alice: User, bob: User, charlie: User
) -> None:
    held = [running(alice, 1), running(bob, 2), running(alice, 3)]
    queue = [waiting(owner, number) for number, owner in enumerate([alice, bob] * 5, start=10)]
    theirs = waiting(charlie, 99)
    end(held[1])
    again = running(bob, 100)
    end(held[0])
    assert taken(queue[0]) == theirs
    end(again)
    assert taken(queue[0]) == queue[1]


def test_who_has_fewest_running_comes_first(alice: User, charlie: User) -> None:
    first, second, theirs = waiting(alice, 1), waiting(alice, 2), waiting(charlie, 3)
    assert [taken(first), taken(first), taken(first)] == [first, theirs, second]


def test_who_has_fewest_running_comes_before_who_had_none_for_longest(alice: User, bob: User, settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 9
    flood, theirs = waiting(alice, 1), waiting(bob, 9)
    busy, over = running(alice, 2), running(bob, 3)
    Build.objects.filter(pk=busy.pk).update(started_at=timezone.now() - timedelta(hours=2))
    end(over)
    assert [taken(flood), taken(flood)] == [theirs, flood]


def test_an_organization_of_which_another_members_runs_comes_after_one_that_has_none_running(
    alice: User, bob: User, charlie: User, settings: Any
) -> None:
    settings.WORKER_CONCURRENCY = 9
    first, theirs = waiting(alice, 1), waiting(charlie, 9)
    busy, over = elsewhere(waiting(bob, 2), alice.personal_organization), running(charlie, 3)
    Build.objects.filter(pk=busy.pk).update(
        state=State.BUILDING, started_at=timezone.now() - timedelta(hours=2), heartbeat_at=timezone.now()
    )
    end(over)
    assert [taken(first), taken(first)] == [theirs, first]


def test_one_person_with_many_organizations_leaves_a_slot_to_others(alice: User, charlie: User) -> None:
    organizations = [Organization.objects.create(name=f"{number}", slug=f"org-{number}") for number in range(5)]
    flood = [elsewhere(waiting(alice, number), organization) for number, organization in enumerate(organizations)]
    theirs = waiting(charlie, 9)
    assert taken(flood[0]) == flood[0]
    assert [taken(flood[1]), taken(flood[1])] == [theirs, flood[1]]
    assert taken(flood[2]) is None
    flood[2].refresh_from_db()
    assert flood[2].step == "Waiting for another build of yours or your organization to end…"


def test_people_of_an_organization_take_turns(alice: User, bob: User, charlie: User) -> None:
    ours = alice.personal_organization
    first, second, of_bob = waiting(alice, 1), waiting(alice, 2), elsewhere(waiting(bob, 3), ours)
    assert [taken(first), taken(first)] == [first, of_bob]
    # The organization has as many as it may.
    assert taken(second) is None
    theirs = waiting(charlie, 4)
    assert taken(second) == theirs


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shared", ["organization", "person"])
def test_of_two_workers_at_once_one_has_the_last_room(alice: User, bob: User, settings: Any, shared: str) -> None:
    settings.WORKER_CONCURRENCY = 2
    first, second = waiting(alice, 1), waiting(alice if shared == "person" else bob, 2)
    other = Organization.objects.create(name="Other", slug="other")
    elsewhere(second, other if shared == "person" else first.organization)

    def other_worker() -> object:
        try:
            return take(second.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            assert take(first.pk) is not None
            answer = pool.submit(other_worker)
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.5)
        assert answer.result() is None


def test_one_that_another_worker_took_since_it_was_looked_at_is_not_taken_by_what_was_seen_then(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when that worker is gone again: whoever takes it now has to know so."""
    build = waiting(alice, 1)

    def taken_meanwhile(_build: Build) -> bool:
        then = timezone.now() - timedelta(minutes=2)
        return bool(Build.objects.filter(pk=build.pk).update(state=State.BUILDING, attempt=1, heartbeat_at=then))

    monkeypatch.setattr(lease, "has_room", taken_meanwhile)
    assert take(build.pk) is None
    assert taken(build) == build


def test_whose_turn_it_is_is_found_without_reading_what_is_over(alice: User) -> None:
    """Builds are kept for good, and each job of a worker asks."""
    at = timezone.now()
    deployment = make_deployment(alice, "long-lived")
    over = {"deployment": deployment, "organization": alice.personal_organization, "state": State.LIVE}
    Build.objects.bulk_create(
        Build(
            **over, created_at=at, accepted_at=at, started_at=at + timedelta(seconds=n), released_at=at, finished_at=at
        )
        for n in range(1000)
    )
    waiting(alice, 1)
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as captured:
        cursor.execute("ANALYZE deployments_build")
        builds_in_turn()
        read = []
        for query in [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
            read.append(max(rows_read(cursor.fetchone()[0][0]["Plan"])))
    assert max(read) <= 100


def rows_read(node: dict[str, Any]) -> Iterator[int]:
    """How many rows each part of a plan gave or threw away."""
    yield node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    for each in node.get("Plans", []):
        yield from rows_read(each)


def test_a_second_build_of_an_app_waits_and_keeps_nobody(alice: User, charlie: User) -> None:
    first, theirs = waiting(alice, 1), waiting(charlie, 9)
    assert taken(first) == first
    at = timezone.now() - timedelta(minutes=59)
    again = make_build(first.deployment, state=State.QUEUED, created_at=at, accepted_at=at, finished_at=None)
    assert taken(again) == theirs
    assert taken(again) is None


def test_a_second_build_of_an_app_keeps_no_other_app_of_its_owner_waiting(alice: User) -> None:
    first, other = waiting(alice, 1), waiting(alice, 2)
    assert taken(first) == first
    at = timezone.now() - timedelta(minutes=70)
    again = make_build(first.deployment, state=State.QUEUED, created_at=at, accepted_at=at, finished_at=None)
    assert taken(again) == other


def test_a_build_whose_worker_is_gone_goes_on_by_its_own_job(alice: User, charlie: User) -> None:
    deserted, theirs = waiting(alice, 1), waiting(charlie, 2)
    assert taken(deserted) == deserted
    Build.objects.filter(pk=deserted.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=2))
    assert taken(deserted) == deserted
    assert taken(theirs) == theirs
