"""What the tests of the cloud dev API have in common: names that no machine can have, and questions to Fly."""

from typing import Any

import orjson
from procrastinate.contrib.django.models import ProcrastinateJob

from clouddev.models import Machine
from clouddev.services import queue
from tests.sandbox_process import SandboxProcess

NAME_RULE = (
    "This can't be the name of an app: it needs 1 to 214 visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)
NO_MACHINE = {"error": "You have no workspace of this name. Create it first."}
SUSPENDED = {"error": "This account is suspended. Ask an operator of this server to restore it."}
STATES_OF_NO_USE = [
    (Machine.State.UNDOING, "The workspace could not be made. Create it again."),
    (Machine.State.FAILED, "The workspace could not be made. Create it again."),
    (Machine.State.DESTROYING, "The workspace is being destroyed. Create it again in a minute."),
]
BAD_NAMES: list[tuple[dict[str, object], str]] = [
    ({}, "appName: This field is required."),
    ({"appName": None}, "appName: This field may not be null."),
    ({"appName": ["studio"]}, "appName: Not a valid string."),
    ({"appName": ""}, "appName: This field may not be blank."),
    ({"appName": "a" * 215}, NAME_RULE),
    ({"appName": " "}, NAME_RULE),
    ({"appName": "stu\ndio"}, NAME_RULE),
    ({"appName": "stu\u200bdio"}, NAME_RULE),
    ({"appName": "stud\u0456o"}, NAME_RULE),
]
BAD_QUERIES = [
    ({}, "appName: This field is required."),
    ({"appName": ""}, "appName: This field may not be blank."),
    ({"appName": "a" * 215}, NAME_RULE),
    ({"appName": "stu\0dio"}, "appName: Null characters are not allowed."),
    ({"appName": "stu\u202edio"}, NAME_RULE),
]


def said(answer: Any) -> tuple[int, Any]:
    """The status and the whole body."""
    return answer.status_code, orjson.loads(answer.content)


def asked_at_fly(sandbox: SandboxProcess) -> list[str]:
    """ "METHOD /path" of every question to Fly and to what runs there."""
    return [f"{entry['method']} {entry['path']}" for entry in sandbox.requests("fly")]


def jobs_of(machine: Machine) -> int:
    """How many jobs wait for the machine."""
    return ProcrastinateJob.objects.filter(task_name=queue.WORK, args={"machine_id": str(machine.pk)}).count()
