"""Upkeep of the jobs themselves."""

import logging

from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from core.queues import SHORT, STALLED_SECONDS

logger = logging.getLogger(__name__)

_KEPT_HOURS = 72


@app.periodic(cron="* * * * * */10")
@app.task(name="core.rescue_jobs", queue=SHORT, queueing_lock="core.rescue_jobs")
async def rescue_jobs(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Give the jobs of workers that are gone to others: procrastinate itself leaves them as they are."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        logger.warning("the worker of job %s (%s) is gone", job.id, job.task_name)
        try:
            await app.job_manager.retry_job(job)
        except ConnectorException:
            # Another one of its kind waits already.
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)


@app.periodic(cron="17 * * * *")
@app.task(name="core.forget_jobs", queue=SHORT, queueing_lock="core.forget_jobs")
async def forget_jobs(timestamp: int) -> None:  # noqa: ARG001 - the same
    """Drop failed jobs after three days; those that succeeded are dropped at once."""
    await app.job_manager.delete_old_jobs(
        nb_hours=_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )
