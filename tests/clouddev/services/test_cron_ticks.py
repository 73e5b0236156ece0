"""Noticing that cron jobs are due: each time once, whoever looks and however late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent
from clouddev import cron_expressions
from clouddev.models import CronJob, CronRun, Machine
from clouddev.services import cron
from clouddev.services.cron import jobs, queue
from clouddev.services.cron.scheduler import KEPT, MOST_UNDER_WAY
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import NOON, enqueued, make_job, make_run
from tests.fly.fly_assertions import at_once

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def studio(alice):
    return make_machine(alice)


def test_nothing_starts_before_its_time(studio):
    make_job(studio)
    cron.tick(now=NOON - timedelta(microseconds=1))
    assert not CronRun.objects.exists()
    assert enqueued() == []


def test_a_job_that_is_due_is_recorded_given_to_a_worker_and_moved_on(studio):
    job = make_job(studio)
    cron.tick(now=NOON + timedelta(seconds=3))
    run = CronRun.objects.get()
    assert (run.job, run.due_at, run.state, run.sent_at) == (job, NOON, "starting", None)
    assert run.started_at == NOON + timedelta(seconds=3)
    job.refresh_from_db()
    assert job.next_run_at == NOON + HOUR
    assert enqueued() == [str(run.pk)]
    cron.tick(now=NOON + timedelta(seconds=13))
    assert CronRun.objects.count() == 1


def test_each_time_is_a_run_of_its_own(studio):
    make_job(studio)
    for number in range(3):
        cron.tick(now=NOON + number * HOUR)
    assert [run.due_at for run in CronRun.objects.all()] == [NOON + 2 * HOUR, NOON + HOUR, NOON]


def test_times_that_were_missed_are_made_up_for_once(studio):
    job = make_job(studio)
    cron.tick(now=NOON + timedelta(days=2, minutes=30))
    cron.tick(now=NOON + timedelta(days=2, minutes=31))
    assert [run.due_at for run in CronRun.objects.all()] == [NOON]
    job.refresh_from_db()
    assert job.next_run_at == NOON + timedelta(days=2, hours=1)


def test_a_paused_job_stays_silent(studio):
    make_job(studio, paused_at=NOON - HOUR)
    cron.tick(now=NOON + HOUR)
    assert not CronRun.objects.exists()


def test_a_time_that_has_its_run_gets_no_second_one(studio):
    job = make_job(studio)
    run = make_run(job, state="succeeded", finished_at=NOON)
    cron.tick(now=NOON)
    assert CronRun.objects.get() == run
    assert enqueued() == []


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_that_look_at_once_one_records_the_run(alice):
    studio = make_machine(alice)
    for number in range(4):
        make_job(studio, f"job {number}")
    at_once(5, lambda _number: cron.tick(now=NOON))
    assert CronRun.objects.count() == 4
    assert len(enqueued()) == 4


def test_one_job_that_can_not_be_read_keeps_no_other_from_its_time(studio):
    make_job(studio, "broken", cron_expression="what", next_run_at=NOON - HOUR)
    lost = make_job(studio, "lost", timezone="Mars/Olympus", next_run_at=NOON - HOUR)
    make_job(studio)
    cron.tick(now=NOON)
    assert CronRun.objects.get().job.workflow_name == "nightly"
    lost.refresh_from_db()
    assert (lost.paused_at, lost.paused_reason) == (NOON, "There is no time zone Mars/Olympus any more.")
    assert AuditEvent.objects.get(action="cron_job.paused").target_id == str(lost.pk)


def test_a_machine_with_enough_under_way_has_its_jobs_wait_until_a_run_ends(studio):
    job = make_job(studio)
    stuck = [make_run(job, NOON - (number + 1) * HOUR) for number in range(MOST_UNDER_WAY)]
    cron.tick(now=NOON)
    assert not CronRun.objects.filter(due_at=NOON).exists()
    CronRun.objects.filter(pk=stuck[0].pk).update(state="failed", finished_at=NOON + 3 * HOUR)
    cron.tick(now=NOON + 3 * HOUR)
    assert CronRun.objects.filter(due_at__gte=NOON).values_list("due_at", "started_at").get() == (NOON, NOON + 3 * HOUR)
    job.refresh_from_db()
    assert job.next_run_at == NOON + 4 * HOUR


def test_those_that_wait_the_longest_come_first(studio):
    jobs = [make_job(studio, f"job-{number}", next_run_at=NOON - number * HOUR) for number in range(MOST_UNDER_WAY + 2)]
    cron.tick(now=NOON)
    assert set(CronRun.objects.values_list("job", flat=True)) == {job.pk for job in jobs[2:]}


def test_the_runs_of_all_jobs_of_a_machine_count_and_those_of_others_do_not(studio, bob, monkeypatch):
    for number in range(MOST_UNDER_WAY):
        make_run(make_job(studio, f"stuck-{number}", next_run_at=NOON + HOUR), NOON - HOUR)
    make_job(studio, "late", next_run_at=NOON - HOUR)
    others = make_job(make_machine(bob, "others"))
    monkeypatch.setattr("clouddev.services.cron.scheduler._AT_ONCE", 1)
    cron.tick(now=NOON)
    assert CronRun.objects.get(due_at__gte=NOON - HOUR, job__workflow_name__in=["late", "nightly"]).job == others
    assert len(enqueued()) == 1


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_once_do_not_pass_the_limit(alice):
    studio = make_machine(alice)
    for number in range(MOST_UNDER_WAY + 5):
        make_job(studio, f"job-{number}")
    at_once(4, lambda _number: cron.tick(now=NOON))
    assert CronRun.objects.count() == MOST_UNDER_WAY


@pytest.mark.django_db(transaction=True)
def test_a_run_that_another_worker_is_just_recording_counts(alice):
    """Whoever counts the runs of a machine waits for who is at it."""
    studio = make_machine(alice)
    job = make_job(studio)
    for number in range(1, MOST_UNDER_WAY):
        make_run(job, NOON - number * HOUR)

    def tick():
        try:
            cron.tick(now=NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            Machine.objects.select_for_update(no_key=True).get()
            make_run(job, NOON - MOST_UNDER_WAY * HOUR)
            ticked = pool.submit(tick)
            with pytest.raises(TimeoutError):
                ticked.result(timeout=0.5)
        ticked.result(timeout=20)
    assert CronRun.objects.count() == MOST_UNDER_WAY


def test_a_job_that_is_changed_while_it_is_looked_at_waits_for_its_new_time(studio, monkeypatch):
    job = make_job(studio)
    real = cron_expressions.next_after

    def change_meanwhile(*args):
        CronJob.objects.filter(pk=job.pk).update(next_run_at=NOON + 5 * HOUR, updated_at=NOON)
        return real(*args)

    monkeypatch.setattr(cron_expressions, "next_after", change_meanwhile)
    cron.tick(now=NOON)
    job.refresh_from_db()
    assert job.next_run_at == NOON + 5 * HOUR
    assert not CronRun.objects.exists()


def test_a_job_that_gets_another_schedule_meanwhile_goes_on_by_that_one(studio, monkeypatch):
    """Though it is due at the same time under both."""
    job = make_job(studio)
    real = cron_expressions.next_after

    def change_meanwhile(*args):
        CronJob.objects.filter(pk=job.pk).update(cron_expression="0 12 * * *", updated_at=NOON)
        return real(*args)

    monkeypatch.setattr(cron_expressions, "next_after", change_meanwhile)
    cron.tick(now=NOON)
    assert not CronRun.objects.exists()
    monkeypatch.undo()
    cron.tick(now=NOON)
    job.refresh_from_db()
    assert (CronRun.objects.get().due_at, job.next_run_at) == (NOON, NOON + 24 * HOUR)


def test_a_job_that_a_member_has_paused_stays_as_they_left_it(studio):
    job = make_job(studio, paused_at=NOON - HOUR, paused_reason="Paused by a member.")
    jobs.pause(job=job, reason="There is no time zone UTC any more.", now=NOON)
    job.refresh_from_db()
    assert (job.paused_at, job.paused_reason) == (NOON - HOUR, "Paused by a member.")
    assert not AuditEvent.objects.exists()


# --- the sweep ------------------------------------------------------------------------------------


def test_a_run_whose_job_was_lost_is_given_to_a_worker_once(studio):
    run = make_run(make_job(studio))
    for _ in range(2):
        cron.sweep(now=NOON)
    assert enqueued() == [str(run.pk)]


def test_runs_that_wait_are_at_work_or_are_over_are_left_alone(studio):
    job = make_job(studio)
    make_run(job, next_step_at=NOON + timedelta(seconds=1))
    make_run(job, NOON - HOUR, state="succeeded", finished_at=NOON)
    cron.sweep(now=NOON)
    assert enqueued() == []


def test_a_job_for_later_is_scheduled_no_earlier_than_the_step(studio):
    run = make_run(make_job(studio))
    queue.enqueue(run.pk, after=timedelta(seconds=2.1))
    job = ProcrastinateJob.objects.get()
    assert job.scheduled_at is not None


# --- keeping --------------------------------------------------------------------------------------


def test_runs_are_kept_for_a_while_and_those_under_way_always(studio):
    job = make_job(studio)
    old = NOON - KEPT - HOUR
    make_run(job, old, state="failed", finished_at=old)
    make_run(job, old + HOUR / 2)
    make_run(job, old + 2 * HOUR, state="failed", finished_at=old + 2 * HOUR)
    assert cron.forget_old_runs(now=NOON) == 1
    assert sorted(run.due_at for run in CronRun.objects.all()) == [old + HOUR / 2, old + 2 * HOUR]
