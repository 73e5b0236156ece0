"""When periodic jobs are due."""

import importlib
from itertools import pairwise

import pytest
from procrastinate.contrib.django import app

SWEEPS = ["core.rescue_jobs", "deployments.sweep", "clouddev.sweep", "clouddev.tick"]


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_to_run_every_ten_seconds_does(name):
    """Of six fields the seconds are the last: with them first, a job runs sixty times in one minute of ten."""
    for module in ("config.core.tasks", "deployments.tasks", "clouddev.tasks"):
        importlib.import_module(module)
    (periodic,) = (found for (task, _), found in app.periodic_registry.periodic_tasks.items() if task == name)
    times = periodic.croniter
    due = [times.get_next(ret_type=float) for _ in range(100)]
    assert {later - earlier for earlier, later in pairwise(due)} == {10.0}
