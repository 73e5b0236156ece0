"""What happens at Fly behind the server's back."""

from fly.clients.machines_api import Fly
from fly.clients.machines_api.transport import app_path


# https://docs.machines.dev/#tag/machines/delete/apps/{app_name}/machines/{machine_id}
def delete_machine(fly: Fly, app: str, machine_id: str) -> None:
    """Delete a machine, running or not. Its volume stays bound for up to 2 minutes. Raises UnknownMachine."""
    path = app_path(app, "machines", machine_id)
    fly._require_done(fly._call("DELETE", path, app=app, query=[("force", "true")]))
