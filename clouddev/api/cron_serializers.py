"""Shapes of the cron API's requests and answers."""

import json
from typing import Any

from rest_framework import serializers

from clouddev.cron_expressions import LONGEST_EXPRESSION
from clouddev.models import CronRun
from clouddev.models.cron import LONGEST_NAME
from core.api import TextField

_LONGEST_ZONE = 64
LONGEST_INPUT = 64 << 10
_DEEPEST_INPUT = 50
LONGEST_FLY_NAME = 63


class WorkflowNameField(TextField):
    """A workflow's name, taken as it is given; it becomes one segment of an address."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_NAME, trim_whitespace=False, **options)

    def to_internal_value(self, data: object) -> str:
        """The name, when it can be one."""
        name = super().to_internal_value(data)
        if not name.isprintable() or name in {".", ".."}:
            raise serializers.ValidationError("This can't be the name of a workflow.")
        return name


class FlagField(serializers.BooleanField):
    """`true` or `false`, and no word or number for one."""

    def to_internal_value(self, data: object) -> bool:
        """The flag, or a validation error."""
        if not isinstance(data, bool):
            raise serializers.ValidationError("Say true or false.")
        return data


class InputField(serializers.JSONField):
    """Any JSON that the database can keep."""

    def to_internal_value(self, data: Any) -> Any:
        """The value, when it is neither too long nor too deep."""
        if _depth(data) > _DEEPEST_INPUT:
            raise serializers.ValidationError(f"Nest at most {_DEEPEST_INPUT} levels.")
        text = json.dumps(data, ensure_ascii=False)
        if len(text.encode()) > LONGEST_INPUT:
            raise serializers.ValidationError(f"At most {LONGEST_INPUT >> 10} KB of JSON.")
        # PostgreSQL's jsonb has no place for it; a backslash of the text's own is written as two.
        if "\\u0000" in text.replace("\\\\", ""):
            raise serializers.ValidationError("Null characters are not allowed.")
        return data


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


class CreateCronJobSerializer(serializers.Serializer[Any]):
    """The job that is wanted."""

    flyAppName = TextField(max_length=LONGEST_FLY_NAME)  # noqa: N815 - the contract's name
    workflowName = WorkflowNameField()  # noqa: N815 - the contract's name
    cronExpression = TextField(  # noqa: N815 - the contract's name
        max_length=LONGEST_EXPRESSION,
        help_text="Five fields as in crontab(5), or a word like `@daily`.",
    )
    timezone = TextField(max_length=_LONGEST_ZONE, help_text="A name of the IANA database, such as `Europe/Berlin`.")
    input = InputField(required=False, allow_null=True, default=None, help_text="What the workflow is given.")


class ChangeCronJobSerializer(serializers.Serializer[Any]):
    """What is to change; the rest stays as it is."""

    cronExpression = TextField(max_length=LONGEST_EXPRESSION, required=False)  # noqa: N815 - the contract's name
    timezone = TextField(max_length=_LONGEST_ZONE, required=False)
    input = InputField(required=False, allow_null=True)
    paused = FlagField(required=False, help_text="Whether nothing starts until it is resumed.")


class CronJobSerializer(serializers.Serializer[Any]):
    """A job. `pausedReason` says why it is paused."""

    id = serializers.CharField()
    flyAppName = serializers.CharField()  # noqa: N815 - the contract's name
    workflowName = serializers.CharField()  # noqa: N815 - the contract's name
    cronExpression = serializers.CharField()  # noqa: N815 - the contract's name
    timezone = serializers.CharField()
    input = serializers.JSONField(allow_null=True)
    nextRunAt = serializers.DateTimeField(  # noqa: N815 - the contract's name
        allow_null=True, help_text="Null while the job is paused."
    )
    paused = serializers.BooleanField()
    pausedReason = serializers.CharField(allow_null=True)  # noqa: N815 - the contract's name
    createdBy = serializers.CharField(help_text="The GitHub login of whoever runs start in the name of.")  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815 - the contract's name
    updatedAt = serializers.DateTimeField()  # noqa: N815 - the contract's name


class DeletedCronJobSerializer(serializers.Serializer[Any]):
    """The job is gone."""

    deleted = serializers.BooleanField()


class CronRunSerializer(serializers.Serializer[Any]):
    """A run. `dueAt` is the schedule's time; `runId` its name on the workspace, once it has one."""

    id = serializers.CharField()
    status = serializers.ChoiceField(CronRun.State.values)
    dueAt = serializers.DateTimeField()  # noqa: N815 - the contract's name
    startedAt = serializers.DateTimeField()  # noqa: N815 - the contract's name
    finishedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815 - the contract's name
    runId = serializers.CharField(allow_null=True)  # noqa: N815 - the contract's name
    error = serializers.CharField(allow_null=True)
