"""When periodic jobs are due, and the queues of all jobs."""

import importlib
from itertools import pairwise

import pytest
from django.core.management import call_command
from procrastinate.contrib.django import app

from core import job_worker

SWEEPS = ["core.rescue_jobs", "deployments.sweep", "clouddev.sweep", "clouddev.tick"]


def register():
    for module in ("core.tasks", "fly.tasks", "deployments.tasks", "clouddev.tasks"):
        importlib.import_module(module)


def test_what_waits_for_strangers_has_queues_of_its_own():
    register()
    machines = dict.fromkeys(("clouddev.work", "clouddev.apply_desired_state"), "machines")
    apart = {"deployments.run_build": "builds", "clouddev.carry_on_cron_run": "cron", **machines}
    ours = {name: task.queue for name, task in app.tasks.items() if not name.startswith(("builtin", "procrastinate"))}
    assert {name: queue for name, queue in ours.items() if queue != "short"} == apart
    assert set(SWEEPS) <= ours.keys()


def test_a_worker_serves_every_queue(monkeypatch, settings):
    served = []

    async def serve(slots):
        served.append(slots)

    monkeypatch.setattr(job_worker, "serve", serve)
    settings.WORKER_CONCURRENCY = 7
    call_command("worker")
    assert served == [{"builds": 7, "machines": 7, "cron": 3, "short": 3}]


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_to_run_every_ten_seconds_does(name):
    """Of six fields the seconds are the last: with them first, a job runs sixty times in one minute of ten."""
    register()
    (periodic,) = (found for (task, _), found in app.periodic_registry.periodic_tasks.items() if task == name)
    times = periodic.croniter
    due = [times.get_next(ret_type=float) for _ in range(100)]
    assert {later - earlier for earlier, later in pairwise(due)} == {10.0}
