"""/api/cron/jobs: workflows that start on a machine at set times."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import CronJob, CronRun, Member
from clouddev.services import cron
from clouddev.services.cron.jobs import MOST_JOBS
from tests.clouddev.api.expectations import NO_MACHINE, SUSPENDED, said
from tests.clouddev.builders import make_machine
from tests.clouddev.cron_jobs import NOON, make_job, make_run
from tests.clouddev.worker_harness import is_somebody_blocked, wait_for
from tests.conftest import APIClient, token_of
from tests.fly.fly_assertions import at_once

pytestmark = pytest.mark.django_db
PATH = "/api/cron/jobs"
NO_JOB = {"error": "There is no such cron job."}
NO_SUCH = "00000000-0000-4000-8000-00000000aaaa"


def wanted(machine, **fields):
    return {
        "flyAppName": machine.fly_app_id,
        "workflowName": "nightly",
        "cronExpression": "30 9 * * mon-fri",
        "timezone": "Europe/Berlin",
        "input": {"report": True},
        **fields,
    }


def change(api, job, body):
    return api.request("PATCH", f"{PATH}/{job.pk}", data=body, content_type="application/json")


def delete(api, job_id):
    return api.request("DELETE", f"{PATH}/{job_id}")


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


# --- who may --------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_told_or_done(nobody_api, studio):
    job = make_job(studio)
    answers = [
        nobody_api.get(PATH, flyAppName=studio.fly_app_id),
        nobody_api.post(PATH, wanted(studio, workflowName="other")),
        change(nobody_api, job, b'{"paused": true}'),
        delete(nobody_api, job.pk),
        nobody_api.get(f"{PATH}/{job.pk}/runs"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert CronJob.objects.get().paused_at is None


def test_a_suspended_person_makes_no_job(alice_api, alice, studio):
    alice.is_active = False
    alice.save()
    assert said(alice_api.post(PATH, wanted(studio))) == (403, SUSPENDED)


def test_to_a_stranger_machines_and_jobs_look_absent(charlie_api, studio):
    job = make_job(studio)
    absent = "crayon-dev-00000000"
    assert said(charlie_api.get(PATH, flyAppName=studio.fly_app_id)) == (404, NO_MACHINE)
    assert said(charlie_api.get(PATH, flyAppName=absent)) == (404, NO_MACHINE)
    assert said(charlie_api.post(PATH, wanted(studio))) == (404, NO_MACHINE)
    for job_id in (job.pk, NO_SUCH):
        body = b'{"paused": true}'
        answers = [
            charlie_api.request("PATCH", f"{PATH}/{job_id}", data=body, content_type="application/json"),
            delete(charlie_api, job_id),
            charlie_api.get(f"{PATH}/{job_id}/runs"),
        ]
        assert [said(answer) for answer in answers] == [(404, NO_JOB)] * 3
    assert CronJob.objects.get().paused_at is None


def test_whoever_was_removed_from_a_machine_sees_its_jobs_no_more(bob_api, bob, studio):
    job = make_job(studio, by=bob)
    Member.objects.filter(user=bob).delete()
    assert said(bob_api.get(f"{PATH}/{job.pk}/runs")) == (404, NO_JOB)
    assert said(delete(bob_api, job.pk)) == (404, NO_JOB)


# --- making ---------------------------------------------------------------------------------------


def test_a_member_makes_a_job_and_everybody_of_the_machine_sees_it(alice_api, bob_api, bob, studio):
    answer = bob_api.post(PATH, wanted(studio))
    job = CronJob.objects.get()
    told = {
        "id": str(job.pk),
        "flyAppName": studio.fly_app_id,
        "workflowName": "nightly",
        "cronExpression": "30 9 * * mon-fri",
        "timezone": "Europe/Berlin",
        "input": {"report": True},
        "nextRunAt": job.next_run_at.isoformat(),
        "paused": False,
        "pausedReason": None,
        "createdBy": "bob",
        "createdAt": job.created_at.isoformat(),
        "updatedAt": job.created_at.isoformat(),
    }
    assert said(answer) == (201, {"data": told})
    assert said(alice_api.get(PATH, flyAppName=studio.fly_app_id)) == (200, {"data": [told]})
    assert job.created_by == bob
    assert job.next_run_at > timezone.now()
    event = AuditEvent.objects.get(action="cron_job.created")
    assert (event.actor_id, event.target_id, event.organization_id) == (bob.pk, str(job.pk), studio.organization_id)
    assert event.details == {"app": "studio", "workflow": "nightly", "schedule": "30 9 * * mon-fri"}


def test_the_time_is_read_in_the_zone(alice_api, studio):
    alice_api.post(PATH, wanted(studio, cronExpression="@daily", timezone="Asia/Tokyo"))
    job = CronJob.objects.get()
    assert (job.cron_expression, job.next_run_at.hour, job.next_run_at.minute) == ("0 0 * * *", 15, 0)


def test_a_workflow_has_one_job_on_a_machine(alice, alice_api, bob_api, studio):
    assert alice_api.post(PATH, wanted(studio)).status_code == 201
    taken = "This workflow has a cron job on this workspace already. Change that one, or delete it first."
    assert said(bob_api.post(PATH, wanted(studio))) == (409, {"error": taken})
    other = make_machine(alice, "other")
    assert alice_api.post(PATH, wanted(other)).status_code == 201
    assert alice_api.post(PATH, wanted(studio, workflowName="Nightly")).status_code == 201
    assert actions().count("cron_job.created") == 3


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_makes_the_job(alice_api, studio):
    answers = at_once(6, lambda _number: alice_api.post(PATH, wanted(studio)).status_code)
    assert sorted(answers) == [201, 409, 409, 409, 409, 409]
    assert CronJob.objects.count() == 1


def test_a_machine_has_so_many_jobs_and_no_more(alice_api, studio):
    for number in range(MOST_JOBS):
        make_job(studio, f"job {number}")
    assert said(alice_api.post(PATH, wanted(studio))) == (
        409,
        {"error": "A workspace may have 100 cron jobs. Delete one first."},
    )


@pytest.mark.parametrize("given", [None, "text", 0, -1.5, True, [], {"a": [{"b": None}]}, "\\u0000", "ä😀"])
def test_any_json_is_an_input(alice_api, studio, given):
    assert alice_api.post(PATH, wanted(studio, input=given)).json()["data"]["input"] == given
    assert CronJob.objects.get().input == given


def test_the_input_may_be_left_out(alice_api, studio):
    body = wanted(studio)
    del body["input"]
    assert alice_api.post(PATH, body).json()["data"]["input"] is None


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"flyAppName": None}, "flyAppName: This field may not be null."),
        ({"flyAppName": "x" * 64}, "flyAppName: Ensure this field has no more than 63 characters."),
        ({"workflowName": ""}, "workflowName: This field may not be blank."),
        ({"workflowName": 7}, "workflowName: Not a valid string."),
        ({"workflowName": ".."}, "workflowName: This can't be the name of a workflow."),
        ({"workflowName": "a\nb"}, "workflowName: This can't be the name of a workflow."),
        ({"workflowName": "a\0b"}, "workflowName: This can't be the name of a workflow."),
        ({"workflowName": "x" * 201}, "workflowName: Ensure this field has no more than 200 characters."),
        ({"timezone": "Berlin"}, "timezone must be the name of a time zone, such as Europe/Berlin or UTC."),
        ({"timezone": "../etc/passwd"}, "timezone must be the name of a time zone, such as Europe/Berlin or UTC."),
        ({"cronExpression": "0 0 30 2 *"}, "cronExpression names a day that never comes."),
        (
            {"cronExpression": "* * * *"},
            "cronExpression must have five fields (minute, hour, day of month, month, day of week), not 4.",
        ),
        ({"input": "a\0b"}, "input: Null characters are not allowed."),
        ({"input": {"a\0": 1}}, "input: Null characters are not allowed."),
        ({"input": "x" * 65_536}, "input: At most 64 KB of JSON."),
        ({"input": nested(51)}, "input: Nest at most 50 levels."),
    ],
)
def test_what_makes_no_sense_is_refused(alice_api, studio, fields, sentence):
    assert said(alice_api.post(PATH, wanted(studio, **fields))) == (400, {"error": sentence})
    assert not CronJob.objects.exists()


# --- listing --------------------------------------------------------------------------------------


def test_jobs_are_listed_by_their_workflows_names_or_one_alone(alice, alice_api, studio):
    for name in ("weekly", "nightly"):
        make_job(studio, name)
    make_job(make_machine(alice, "other"), "elsewhere")
    listed = alice_api.get(PATH, flyAppName=studio.fly_app_id).json()["data"]
    assert [job["workflowName"] for job in listed] == ["nightly", "weekly"]
    one = alice_api.get(PATH, flyAppName=studio.fly_app_id, workflowName="weekly").json()["data"]
    assert [job["workflowName"] for job in one] == ["weekly"]
    none = alice_api.get(PATH, flyAppName=studio.fly_app_id, workflowName="week")
    assert said(none) == (200, {"data": []})


def test_listing_asks_as_much_for_many_jobs_as_for_one(alice_api, studio):
    counts = []
    for number in range(12):
        make_job(studio, f"job {number}")
        with CaptureQueriesContext(connection) as queries:
            alice_api.get(PATH, flyAppName=studio.fly_app_id)
        counts.append(len(queries))
    assert counts[1] == counts[-1] == 3


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "flyAppName: This field is required."),
        ({"flyAppName": ""}, "flyAppName: This field may not be blank."),
        ({"flyAppName": "x", "workflowName": "a\0"}, "workflowName: Null characters are not allowed."),
    ],
)
def test_a_list_is_of_one_machine(alice_api, studio, query, sentence):
    assert said(alice_api.get(PATH, **query)) == (400, {"error": sentence})


# --- changing -------------------------------------------------------------------------------------


def test_what_is_not_named_stays(alice_api, studio):
    job = make_job(studio)
    told = change(alice_api, job, b'{"cronExpression": "15 4 * * *"}').json()["data"]
    assert (told["cronExpression"], told["timezone"], told["input"]) == ("15 4 * * *", "UTC", {"n": 1})
    due = datetime.fromisoformat(told["nextRunAt"])
    assert (due.hour, due.minute) == (4, 15)
    assert timezone.now() < due <= timezone.now() + timedelta(days=1)
    assert actions() == ["cron_job.changed"]


def test_a_change_to_what_is_there_already_changes_and_records_nothing(alice_api, alice, studio):
    job = make_job(studio, by=alice)
    before = CronJob.objects.values().get()
    same = b'{"cronExpression": "0 * * * *", "timezone": "UTC", "input": {"n": 1}, "paused": false}'
    assert change(alice_api, job, same).status_code == 200
    assert CronJob.objects.values().get() == before
    assert actions() == []


def test_an_input_that_is_equal_in_python_alone_is_another_one(alice_api, studio):
    job = make_job(studio)
    assert change(alice_api, job, b'{"input": {"n": true}}').json()["data"]["input"] == {"n": True}
    job.refresh_from_db()
    assert job.input["n"] is True
    assert actions() == ["cron_job.changed"]


def test_an_input_may_become_null(alice_api, studio):
    job = make_job(studio)
    assert change(alice_api, job, b'{"input": null}').json()["data"]["input"] is None


def test_a_job_is_paused_and_resumed_and_what_it_missed_is_not_made_up_for(alice_api, studio):
    job = make_job(studio, next_run_at=timezone.now() - timedelta(days=3))
    told = change(alice_api, job, b'{"paused": true}').json()["data"]
    assert (told["paused"], told["pausedReason"], told["nextRunAt"]) == (True, "Paused by a member.", None)
    told = change(alice_api, job, b'{"paused": false}').json()["data"]
    assert (told["paused"], told["pausedReason"]) == (False, None)
    assert datetime.fromisoformat(told["nextRunAt"]) > timezone.now()


def test_whoever_changes_a_job_answers_for_it(alice, bob_api, bob, studio):
    job = make_job(studio, by=alice)
    assert change(bob_api, job, b'{"input": "mine"}').json()["data"]["createdBy"] == "bob"
    job.refresh_from_db()
    assert job.created_by == bob


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{}", "Say what to change: cronExpression, timezone, input or paused."),
        (b'{"workflowName": "other"}', "Say what to change: cronExpression, timezone, input or paused."),
        (b'{"paused": "yes"}', "paused: Say true or false."),
        (b'{"paused": null}', "paused: This field may not be null."),
        (b'{"timezone": "Mars/Olympus"}', "timezone must be the name of a time zone, such as Europe/Berlin or UTC."),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(alice_api, studio, body, sentence):
    job = make_job(studio)
    before = CronJob.objects.values().get()
    assert said(change(alice_api, job, body)) == (400, {"error": sentence})
    assert CronJob.objects.values().get() == before


# --- deleting, and runs ---------------------------------------------------------------------------


def test_a_job_is_deleted_with_its_runs(bob_api, bob, studio):
    job, kept = make_job(studio), make_run(make_job(studio, "another"))
    make_run(job)
    assert said(delete(bob_api, job.pk)) == (200, {"data": {"deleted": True}})
    assert CronJob.objects.get() == kept.job
    assert CronRun.objects.get() == kept
    assert AuditEvent.objects.get(action="cron_job.deleted").actor_id == bob.pk
    assert said(delete(bob_api, job.pk)) == (404, NO_JOB)


def delete_elsewhere(api, job_id):
    """The answer to a deletion on a connection of its own."""
    try:
        return said(delete(api, job_id))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_job_whose_next_run_is_recorded_at_this_moment_is_deleted_with_it(alice, studio):
    job = make_job(studio)
    api = APIClient(token_of(alice))
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            cron.tick(now=NOON)
            assert CronRun.objects.count() == 1
            answer = pool.submit(delete_elsewhere, api, job.pk)
            wait_for(is_somebody_blocked, "the deletion waits for the run")
        assert answer.result(timeout=20) == (200, {"data": {"deleted": True}})
    assert not CronRun.objects.exists()


def test_a_deletion_that_can_not_be_written_down_is_not_made(alice_api, studio):
    job = make_job(studio)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    assert delete(alice_api, job.pk).status_code == 500
    assert CronJob.objects.get() == job


@pytest.mark.django_db(transaction=True)
def test_of_two_who_delete_a_job_at_once_one_does_and_writes_it_down(alice, studio):
    job = make_job(studio)
    apis = [APIClient(token_of(alice)) for _ in range(4)]
    answers = at_once(4, lambda number: said(delete(apis[number], job.pk)))
    assert sorted(answers, key=str) == [(200, {"data": {"deleted": True}}), *[(404, NO_JOB)] * 3]
    assert actions() == ["cron_job.deleted"]


def test_runs_are_told_whole(bob_api, studio):
    job = make_job(studio)
    late = NOON + timedelta(seconds=7)
    run = make_run(job, started_at=late, state="failed", run_id="run-1", error="no luck", finished_at=late)
    told = {
        "id": str(run.pk),
        "status": "failed",
        "dueAt": NOON.isoformat(),
        "startedAt": late.isoformat(),
        "finishedAt": late.isoformat(),
        "runId": "run-1",
        "error": "no luck",
    }
    assert said(bob_api.get(f"{PATH}/{job.pk}/runs")) == (200, {"data": [told]})


def test_runs_come_newest_first_page_by_page(alice_api, studio):
    job = make_job(studio)
    runs = [make_run(job, NOON + timedelta(minutes=number)) for number in range(53)]
    make_run(make_job(studio, "other"))
    newest_first = [str(run.pk) for run in reversed(runs)]
    first = [run["id"] for run in alice_api.get(f"{PATH}/{job.pk}/runs").json()["data"]]
    assert first == newest_first[:50]
    rest = [run["id"] for run in alice_api.get(f"{PATH}/{job.pk}/runs", before=first[-1]).json()["data"]]
    assert rest == newest_first[50:]


def test_a_page_begins_at_a_run_of_the_job(alice_api, studio):
    job, other = make_job(studio), make_run(make_job(studio, "other"))
    runs = f"{PATH}/{job.pk}/runs"
    assert said(alice_api.get(runs, before="first")) == (400, {"error": "before: This is not a run's id."})
    for run_id in (other.pk, uuid.UUID(NO_SUCH)):
        assert said(alice_api.get(runs, before=str(run_id))) == (400, {"error": "before: This job has no such run."})
