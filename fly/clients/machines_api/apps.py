"""The calls about apps and what belongs to them."""

import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from core.http_client import segment
from fly.clients.machines_api import responses, types
from fly.clients.machines_api.transport import Calls, app_path

logger = logging.getLogger(__name__)

AddressKind = Literal["v4", "v6", "shared_v4", "private_v6"]


class AppCalls(Calls):
    """Apps, their addresses and secrets, the tokens to deploy them, and their logs."""

    # https://docs.machines.dev/#tag/apps/post/apps
    def create_app(self, *, name: str, network: str, idempotency_key: uuid.UUID) -> None:
        """Make an app with a private network of its own. Asking again with the same key and name makes no second one.

        It may take a minute until Fly sees it everywhere: until then calls about it may raise UnknownApp
        or FlyRefusesToken. Raises NameTaken, QuotaExceeded.
        """
        body = {
            "name": name,
            "app_name": name,
            "org_slug": self.org,
            "network": network,
            "idempotency_key": str(idempotency_key),
        }
        answer = self._call("POST", "/v1/apps", app=name, query=[("wait", "true")], json=body, repeatable=True)
        if not answer.ok:
            raise responses.failure(answer)

    # https://docs.machines.dev/#tag/apps/get/apps/{app_name}
    def get_app(self, name: str) -> types.App:
        """One app. Raises UnknownApp, or NotOurs when another organization has it."""
        answer = self._call("GET", app_path(name), app=name)
        if not answer.ok:
            raise responses.failure_of_app(answer)
        return responses.read(answer, types.app)

    # https://docs.machines.dev/#tag/apps/get/apps
    def list_apps(self) -> tuple[types.App, ...]:
        """All apps of the organization, whoever made them."""
        answer = self._call("GET", "/v1/apps", query=[("org_slug", self.org)])
        if not answer.ok:
            raise responses.failure(answer)
        found = responses.read(answer, types.apps)
        if found.total > len(found.apps):
            logger.warning("Fly listed %s of %s apps", len(found.apps), found.total)
        return found.apps

    # https://docs.machines.dev/#tag/apps/delete/apps/{app_name}
    def delete_app(self, name: str) -> None:
        """Delete an app with its machines and volumes; Fly does it in its own time. Raises UnknownApp."""
        answer = self._call("DELETE", app_path(name), app=name, query=[("force", "true")], repeatable=True)
        if not answer.ok:
            raise responses.failure(answer)

    # https://docs.machines.dev/#tag/apps/get/apps/{app_name}/ip_assignments
    def list_addresses(self, app: str) -> tuple[types.Address, ...]:
        """The app's addresses. Raises UnknownApp."""
        answer = self._call("GET", app_path(app, "ip_assignments"), app=app)
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.addresses).ips

    # https://docs.machines.dev/#tag/apps/post/apps/{app_name}/ip_assignments
    def assign_address(self, app: str, *, kind: AddressKind) -> types.Address:
        """Give the app one more address: list first, since asking twice may give two.

        Raises UnknownApp, QuotaExceeded; FlyRejected or PreconditionFailed may mean that it has one already.
        """
        answer = self._call("POST", app_path(app, "ip_assignments"), app=app, json={"type": kind})
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.address)

    # https://docs.machines.dev/#tag/secrets/post/apps/{app_name}/secrets
    def set_secrets(self, app: str, values: Mapping[str, str | None]) -> int:
        """Set secrets, or take away those whose value is None; the others stay. Machines see it when they start.

        Gives the version for a machine's `min_secrets_version`. Raises UnknownApp.
        """
        answer = self._call("POST", app_path(app, "secrets"), app=app, json={"values": dict(values)}, repeatable=True)
        if not answer.ok:
            raise responses.failure(answer, is_about_secrets=True)
        return responses.read(answer, types.secrets_version).version

    # https://docs.machines.dev/#tag/apps/post/apps/{app_name}/deploy_token
    def deploy_token(self, app: str, *, expiry: timedelta) -> str:
        """A new token that is good for this app alone, for so long. Raises UnknownApp."""
        body = {"expiry": f"{int(expiry.total_seconds())}s"}
        answer = self._call("POST", app_path(app, "deploy_token"), app=app, json=body)
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.token).token

    # What flyctl polls (superfly/fly-go, resource_logs.go); Fly documents no other way to past lines.
    def logs(self, app: str) -> tuple[types.LogEntry, ...]:
        """About the last 100 lines of a day, oldest first. Raises UnknownApp."""
        answer = self._platform.call("GET", f"/api/v1/apps/{segment(app)}/logs")
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.log_entries).data
