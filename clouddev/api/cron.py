"""The cron API: workflows that start on workspaces at set times."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.current_user import caller_of
from clouddev.api import cron_schemas as schemas
from clouddev.models import CronJob, CronRun
from clouddev.models.cron import LONGEST_NAME
from clouddev.services.cron import jobs
from core.api import Endpoint, json_body, query, required, success
from core.errors import Malformed
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated

_TAG = "cron jobs"
_CREATED = 201


class JobsView(Endpoint):
    """GET and POST /api/cron/jobs."""

    required_action = {"GET": "cron.view", "POST": "cron.create"}

    needs = {"GET": Needs("workspaces:read"), "POST": Needs("workspaces:write")}

    @documented(
        summary="List cron jobs",
        data=list[schemas.CronJob],
        tag=_TAG,
        parameters=[
            OpenApiParameter("flyAppName", str, required=True, description="A workspace that the caller may use."),
            OpenApiParameter("workflowName", str, description="Only the job of this workflow."),
        ],
        errors=[404],
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell the cron jobs of a workspace, by the names of their workflows."""
        asked = query(request)
        fly_name = required(asked, "flyAppName", at_most=schemas.LONGEST_FLY_NAME)
        workflow = required(asked, "workflowName", at_most=LONGEST_NAME) if "workflowName" in asked else ""
        found = jobs.list_jobs(person=caller_of(request), fly_name=fly_name, workflow_name=workflow)
        return success([_job(job) for job in found])

    @documented(
        summary="Create a cron job",
        data=schemas.CronJob,
        tag=_TAG,
        request=schemas.CreateCronJob,
        errors=[404, 409],
        status=_CREATED,
    )
    def post(self, request: Request) -> HttpResponse:
        """Have a workflow started on a workspace at set times, in the caller's name; one job for each workflow."""
        asked = validated(schemas.CreateCronJob, json_body(request))
        job = jobs.create_job(
            caller=caller_of(request),
            fly_name=asked.fly_app_name,
            workflow_name=asked.workflow_name,
            expression=asked.cron_expression,
            timezone=asked.timezone,
            given=asked.input,
            now=timezone.now(),
        )
        return success(_job(job), _CREATED)


class JobView(Endpoint):
    """PATCH and DELETE /api/cron/jobs/{job_id}."""

    required_action = {"PATCH": "cron.change", "DELETE": "cron.delete"}

    needs = {"PATCH": Needs("workspaces:write"), "DELETE": Needs("workspaces:write")}

    @documented(
        summary="Change a cron job",
        data=schemas.CronJob,
        tag=_TAG,
        request=schemas.ChangeCronJob,
        errors=[404],
    )
    def patch(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """Change, pause or resume a job. From then on it starts in the name of whoever changed it."""
        asked = validated(schemas.ChangeCronJob, json_body(request))
        if not asked.model_fields_set:
            raise Malformed("Say what to change: cronExpression, timezone, input or paused.")
        job = jobs.change_job(
            caller=caller_of(request),
            job_id=job_id,
            expression=asked.cron_expression,
            timezone=asked.timezone,
            given=asked.input if "input" in asked.model_fields_set else jobs.KEEP,
            paused=asked.paused,
            now=timezone.now(),
        )
        return success(_job(job))

    @documented(
        summary="Delete a cron job",
        data=schemas.DeletedCronJob,
        tag=_TAG,
        errors=[404],
    )
    def delete(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """Delete a job and what is known of its runs. What runs on the workspace goes on."""
        jobs.delete_job(caller=caller_of(request), job_id=job_id)
        return success(schemas.DeletedCronJob(deleted=True))


class RunsView(Endpoint):
    """GET /api/cron/jobs/{job_id}/runs."""

    required_action = "cron.view"

    needs = {"GET": Needs("workspaces:read")}

    @documented(
        summary="List runs of a cron job",
        data=list[schemas.CronRun],
        tag=_TAG,
        parameters=[OpenApiParameter("before", str, description="A run's id: answers those that are older.")],
        errors=[404],
    )
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """Tell the runs of a job, newest first, 50 at a time."""
        found = jobs.list_runs(person=caller_of(request), job_id=job_id, before=_before(query(request)))
        return success([_run(run) for run in found])


def _job(job: CronJob) -> schemas.CronJob:
    return {
        "id": str(job.pk),
        "flyAppName": job.machine.fly_app_id,
        "workflowName": job.workflow_name,
        "cronExpression": job.cron_expression,
        "timezone": job.timezone,
        "input": job.input,
        "nextRunAt": None if job.paused_at else job.next_run_at,
        "paused": job.paused_at is not None,
        "pausedReason": job.paused_reason or None,
        "createdBy": job.created_by.github_login,
        "createdAt": job.created_at,
        "updatedAt": job.updated_at,
    }


def _run(run: CronRun) -> schemas.CronRun:
    return {
        "id": str(run.pk),
        "status": run.state,
        "dueAt": run.due_at,
        "startedAt": run.started_at,
        "finishedAt": run.finished_at,
        "runId": run.run_id or None,
        "error": run.error or None,
    }


def _before(parameters: Mapping[str, str]) -> uuid.UUID | None:
    """The query's run, if it has one. Raises Malformed for what is no id."""
    if "before" not in parameters:
        return None
    try:
        return uuid.UUID(parameters["before"])
    except ValueError as error:
        raise Malformed("before: This is not a run's id.") from error
