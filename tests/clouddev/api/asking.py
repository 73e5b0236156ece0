"""What the tests of the cloud dev API have in common: names that no machine can have, and questions to Fly."""

from typing import Any

import orjson
from procrastinate.contrib.django.models import ProcrastinateJob

from clouddev.models import Machine
from clouddev.services import queue
from tests.sandbox_process import SandboxProcess

NAME_RULE = "appName: Use lower-case letters, digits and hyphens, a letter first, 63 characters at most."
NO_MACHINE = {"error": "You have no machine of this name. Create it first."}
SUSPENDED = {"error": "This account is suspended. Ask an operator of this server to restore it."}
STATES_OF_NO_USE = [
    (Machine.State.UNDOING, "The machine could not be made. Create it again."),
    (Machine.State.FAILED, "The machine could not be made. Create it again."),
    (Machine.State.DESTROYING, "The machine is being destroyed. Create it again in a minute."),
]
BAD_NAMES: list[tuple[dict[str, object], str]] = [
    ({}, "appName: This field is required."),
    ({"appName": None}, "appName: This field may not be null."),
    ({"appName": ["studio"]}, "appName: Not a valid string."),
    ({"appName": ""}, "appName: This field may not be blank."),
    ({"appName": "a" * 64}, NAME_RULE),
    ({"appName": "Studio"}, NAME_RULE),
    ({"appName": "1studio"}, NAME_RULE),
    ({"appName": "studio\n"}, NAME_RULE),
    ({"appName": "../studio"}, NAME_RULE),
]
BAD_QUERIES = [
    ({}, "appName: This field is required."),
    ({"appName": ""}, "appName: This field may not be blank."),
    ({"appName": "a" * 64}, "appName: Ensure this field has no more than 63 characters."),
    ({"appName": "Studio"}, NAME_RULE),
    ({"appName": "stu\0dio"}, "appName: Null characters are not allowed."),
    ({"appName": "stu/dio?x=#"}, NAME_RULE),
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
