"""Shapes of the cron API's requests and answers."""

import json
from datetime import datetime
from typing import Annotated, Any

from typing_extensions import TypedDict

from clouddev import models
from clouddev.cron_expressions import LONGEST_EXPRESSION
from clouddev.models.cron import LONGEST_NAME
from core.schemas import Request, Value, told, words

_LONGEST_ZONE = 64
LONGEST_INPUT = 64 << 10
_DEEPEST_INPUT = 50
LONGEST_FLY_NAME = 63


def _workflow_name(name: str) -> str:
    """A workflow's name, taken as it is given; it becomes one segment of an address."""
    if not name.isprintable() or name in {".", ".."}:
        raise ValueError("This can't be the name of a workflow.")
    return name


def _flag(value: object) -> bool:
    """`true` or `false`, and no word or number for one."""
    if value is None:
        raise ValueError("This field may not be null.")
    if not isinstance(value, bool):
        raise ValueError("Say true or false.")  # noqa: TRY004 - Pydantic passes a TypeError on
    return value


def _input(value: object) -> object:
    """Any JSON that the database can keep, neither too long nor too deep."""
    if _depth(value) > _DEEPEST_INPUT:
        raise ValueError(f"Nest at most {_DEEPEST_INPUT} levels.")
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > LONGEST_INPUT:
        raise ValueError(f"At most {LONGEST_INPUT >> 10} KB of JSON.")
    # PostgreSQL's jsonb has no place for it; a backslash of the text's own is written as two.
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("Null characters are not allowed.")
    return value


def _depth(value: object) -> int:
    """How deep lists and objects are nested, counted without nested calls."""
    depth, level = 0, [value]
    while level := [item for one in level for item in _items(one)]:
        depth += 1
    return depth


def _items(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


_EXPRESSION, _ZONE = words(most=LONGEST_EXPRESSION), words(most=_LONGEST_ZONE)
_INPUT = Value(_input, {"nullable": True})


class CreateCronJob(Request):
    """The job that is wanted."""

    fly_app_name: Annotated[str, words(most=LONGEST_FLY_NAME)]
    workflow_name: Annotated[str, words(most=LONGEST_NAME, trimmed=False, check=_workflow_name)]
    cron_expression: Annotated[str, _EXPRESSION, told("Five fields as in crontab(5), or a word like `@daily`.")]
    timezone: Annotated[str, _ZONE, told("A name of the IANA database, such as `Europe/Berlin`.")]
    input: Annotated[Any, _INPUT, told("What the workflow is given.")] = None


class ChangeCronJob(Request):
    """What is to change; the rest stays as it is."""

    cron_expression: Annotated[str | None, _EXPRESSION] = None
    timezone: Annotated[str | None, _ZONE] = None
    input: Annotated[Any, _INPUT] = None
    paused: Annotated[
        bool | None, Value(_flag, {"type": "boolean"}), told("Whether nothing starts until it is resumed.")
    ] = None


class CronJob(TypedDict):
    """A job. `pausedReason` says why it is paused."""

    id: str
    flyAppName: str
    workflowName: str
    cronExpression: str
    timezone: str
    input: Any | None
    nextRunAt: Annotated[datetime | None, told("Null while the job is paused.")]
    paused: bool
    pausedReason: str | None
    createdBy: Annotated[str, told("The GitHub login of whoever runs start in the name of.")]
    createdAt: datetime
    updatedAt: datetime


class DeletedCronJob(TypedDict):
    """The job is gone."""

    deleted: bool


class CronRun(TypedDict):
    """A run. `dueAt` is the schedule's time; `runId` its name on the workspace, once it has one."""

    id: str
    status: Annotated[str, told(enum=models.CronRun.State.values)]
    dueAt: datetime
    startedAt: datetime
    finishedAt: datetime | None
    runId: str | None
    error: str | None
