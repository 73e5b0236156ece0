"""The calls about volumes."""

from collections.abc import Mapping

from fly.clients.machines_api import responses, types
from fly.clients.machines_api.errors import UnknownApp, UnknownVolume
from fly.clients.machines_api.transport import Calls, app_path


class VolumeCalls(Calls):
    """Disks of an app; each lies on one host."""

    # https://docs.machines.dev/#tag/volumes/get/apps/{app_name}/volumes
    def list_volumes(self, app: str) -> tuple[types.Volume, ...]:
        """The app's volumes, those that are being destroyed too. Raises UnknownApp."""
        answer = self._call("GET", app_path(app, "volumes"), app=app)
        if not answer.ok:
            raise responses.failure(answer)
        return responses.read(answer, types.volumes)

    # https://docs.machines.dev/#tag/volumes/post/apps/{app_name}/volumes
    def create_volume(
        self, app: str, *, name: str, region: str, size_gb: int, compute: Mapping[str, object]
    ) -> types.Volume:
        """Make a volume where a machine of this guest (`cpu_kind`, `cpus`, `memory_mb`) has room beside it.

        List first: asking twice makes two. `region` is a code, no alias. Raises InsufficientCapacity,
        QuotaExceeded, UnknownApp.
        """
        body = {"name": name, "region": region, "size_gb": size_gb, "encrypted": True, "compute": dict(compute)}
        answer = self._call("POST", app_path(app, "volumes"), app=app, json=body)
        if not answer.ok:
            raise responses.failure(answer, missing=UnknownApp)
        return responses.read(answer, types.volume)

    # https://docs.machines.dev/#tag/volumes/delete/apps/{app_name}/volumes/{volume_id}
    def delete_volume(self, app: str, volume_id: str) -> None:
        """Delete a volume with its data.

        Raises UnknownVolume; and PreconditionFailed (VOLUME_BOUND) until about 2 minutes after its machine was deleted.
        """
        answer = self._call("DELETE", app_path(app, "volumes", volume_id), app=app, repeatable=True)
        if not answer.ok:
            raise responses.failure(answer, missing=UnknownVolume)
