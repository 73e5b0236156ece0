"""Handing work to the workers: one job waits, however often it is asked for, and the caller's transaction goes on."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from core.queues import BUILDS, SHORT, defer

pytestmark = pytest.mark.django_db
THING = uuid.UUID(int=7)


def jobs():
    return list(ProcrastinateJob.objects.order_by("pk").values_list("task_name", "queue_name", "args"))


def test_asked_for_twice_one_job_waits_and_the_transaction_goes_on():
    with transaction.atomic():
        for _ in range(2):
            defer("some.task", queue=BUILDS, lock="thing:7", thing_id=THING)
        assert jobs() == [("some.task", BUILDS, {"thing_id": str(THING)})]


def test_a_job_of_another_lock_waits_beside_it():
    for lock in ("thing:7", "thing:8"):
        defer("some.task", queue=SHORT, lock=lock, thing_id=THING)
    assert len(jobs()) == 2


@pytest.mark.parametrize(("after", "waits"), [(timedelta(0), False), (timedelta(milliseconds=1), True)])
def test_a_job_for_later_waits_a_second_at_least(after, waits):
    before = timezone.now()
    defer("some.task", queue=SHORT, lock="thing:7", after=after, thing_id=THING)
    scheduled = ProcrastinateJob.objects.get().scheduled_at
    assert (scheduled is not None and scheduled > before + timedelta(milliseconds=900)) is waits
