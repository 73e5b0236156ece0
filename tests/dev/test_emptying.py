"""After a test that others' connections had to see, its tables are empty."""

import uuid
from threading import Event, Thread, Timer

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, Organization, User
from deployments.services import queue
from tests.conftest import make_person


@pytest.mark.django_db(transaction=True)
def test_what_somebody_is_still_writing_then_is_gone_too():
    written, may_end = Event(), Event()

    def write():
        with transaction.atomic():
            make_person("alice")
            written.set()
            may_end.wait(timeout=20)
        connection.close()

    writer = Thread(target=write)
    writer.start()
    assert written.wait(timeout=20)
    Timer(0.05, may_end.set).start()
    call_command("flush", verbosity=0, interactive=False)
    writer.join()
    assert [model.objects.count() for model in (User, Organization, AuditEvent)] == [0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_jobs_that_nobody_did_are_gone_too():
    queue.enqueue(uuid.uuid4())
    assert ProcrastinateJob.objects.exists()
    call_command("flush", verbosity=0, interactive=False)
    assert not ProcrastinateJob.objects.exists()
