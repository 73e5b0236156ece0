"""The logs of an app for its owner's tools: of its latest build, and of what runs."""

import uuid
from dataclasses import dataclass

from accounts.models.users import Person
from core.database import fetch_row
from deployments.models import Deployment
from deployments.models.builds import LATEST_FIRST_SQL
from deployments.services import build_logs
from deployments.services.access import NoSuchApp
from deployments.services.service_logs import service_logs

_FIND = f"""
SELECT d.id, d.fly_app_id, b.id, b.log_length,
       EXISTS (SELECT 1 FROM deployments_build r WHERE r.deployment_id = d.id AND r.released_at IS NOT NULL)
  FROM deployments_deployment d
  JOIN accounts_organization o ON o.id = d.organization_id
  LEFT JOIN LATERAL (
       SELECT id, log_length FROM deployments_build WHERE deployment_id = d.id ORDER BY {LATEST_FIRST_SQL} LIMIT 1
       ) b ON true
 WHERE d.owner_id = %s AND lower(d.app_name) = lower(%s::text) AND d.state <> %s AND o.suspended_at IS NULL
"""  # noqa: S608 - the order is a constant


@dataclass(frozen=True, slots=True)
class Logs:
    """`build` and `service` are None where there is nothing to have a log, or Fly can't be asked for it.

    `next_offset` is where a reader goes on in the log of the build `build_id`, `length` what there is so far.
    """

    build: str | None
    service: str | None
    build_id: uuid.UUID | None
    next_offset: int
    length: int


def logs_of(*, caller: Person, app_name: str, offset: int | None) -> Logs:
    """The app's logs; without `offset` the end of the build's, else what follows so many characters of it.

    Either way at most build_logs.MOST_CHARACTERS of it. Raises NoSuchApp.
    """
    row = fetch_row(_FIND, [caller.id, app_name, Deployment.State.DESTROYING])
    if row is None:
        raise NoSuchApp
    deployment_id, fly_name, build_id, length, is_released = row
    service = service_logs(fly_name=fly_name) if is_released else None
    if build_id is None:
        return Logs(None, service, None, 0, 0)
    if offset is not None:
        part = build_logs.read_from(build_id=build_id, length=length, offset=offset)
        return Logs(part.text, service, build_id, part.end, part.length)
    part = build_logs.read_tail(build_id=build_id, length=length)
    text = _heading(part.start, deployment_id, build_id) + part.text
    return Logs(text, service, build_id, part.end, part.length)


def _heading(left_out: int, deployment_id: uuid.UUID, build_id: uuid.UUID) -> str:
    if not left_out:
        return ""
    address = build_logs.address_of(deployment_id=deployment_id, build_id=build_id)
    return f"… {left_out:,} characters are left out here. The whole log: {address}\n"
