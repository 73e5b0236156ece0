"""Pushing alice's app, and what is there afterwards."""

import base64
from pathlib import Path
from typing import Any

from procrastinate.contrib.django.models import ProcrastinateJob

from deployments.models import Build, Deployment
from tests.deployments.archive_builder import entry, packed

PATH = "/api/deploy/push"
ARCHIVE = packed(entry("app.js", b"run()"))
NAME_RULE = (
    "This can't be the name of an app: it needs 1 to 214 visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)
NO_APP = "You have no app of this name. Prepare it first."


def body_of(archive: bytes = ARCHIVE, **more: object) -> dict[str, object]:
    return {"appName": "shop", "archive": base64.b64encode(archive).decode(), **more}


def push_raw(api: Any, archive: bytes = ARCHIVE, query: str = "appName=shop", kind: str = "application/gzip") -> Any:
    return api.request("POST", f"{PATH}?{query}", data=archive, content_type=kind, CONTENT_TYPE=kind)


def refusal(answer: Any) -> tuple[int, str]:
    assert list(answer.json()) == ["error"]
    return answer.status_code, answer.json()["error"]


def stored(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def secrets_at_fly(sandbox: Any, app: Deployment) -> dict[str, str]:
    return dict(sandbox.state()["fly"]["secrets"].get(app.fly_app_id, {}))


def nothing_is_left(folder: Path) -> bool:
    return not Build.objects.filter(finished_at=None).exists() and stored(folder) == [] and not jobs()


def jobs() -> list[dict[str, str]]:
    return list(
        ProcrastinateJob.objects.filter(task_name="deployments.run_build").order_by("pk").values_list("args", flat=True)
    )
