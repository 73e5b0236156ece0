"""Where the stand-in for Fly answers: the Machines API, the logs API, and the apps themselves."""

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly import (
    actions,
    apps,
    deploy_tokens,
    ips,
    leases,
    log_lines,
    machines,
    organization,
    platform,
    public,
    secrets,
    volumes,
    waits,
)
from sandbox.fly.access import Answer, route
from sandbox.fly.errors import stamp

_APP = "/v1/apps/{app}"
_MACHINE = "/v1/apps/{app}/machines/{machine}"
_VOLUME = "/v1/apps/{app}/volumes/{volume}"
_PUBLIC = "/fly/apps/{app}"


def add_routes(app: web.Application) -> None:
    """Mount Fly at /fly."""
    router = app.router
    for method, path, answer, action in [*_of_apps(), *_of_machines(), *_of_the_rest()]:
        router.add_route(method, f"/fly{path}", route(answer, action=action))
    router.add_route("*", _PUBLIC, public.answer)
    router.add_route("*", f"{_PUBLIC}/{{tail:.*}}", public.answer)


def unmatched(*, is_method: bool) -> web.Response:
    """Answer for a path, or a method of one, that nobody serves."""
    if is_method:
        return stamp(json_answer({"error": "method not allowed"}, status=405))
    return stamp(json_answer({"error": "not found"}, status=404))


def _of_apps() -> list[tuple[str, str, Answer, str]]:
    return [
        ("GET", "/v1/apps", apps.list_all, "app_list"),
        ("POST", "/v1/apps", apps.create, "app_create"),
        ("GET", _APP, apps.show, "app_get"),
        ("DELETE", _APP, apps.delete, "app_delete"),
        ("GET", f"{_APP}/ip_assignments", ips.list_all, "ip_list"),
        ("POST", f"{_APP}/ip_assignments", ips.assign, "ip_assign"),
        ("DELETE", f"{_APP}/ip_assignments/{{ip}}", ips.release, "ip_release"),
        ("GET", f"{_APP}/secrets", secrets.list_all, "secret_list"),
        ("POST", f"{_APP}/secrets", secrets.change, "secret_change"),
        ("GET", f"{_APP}/secrets/{{name}}", secrets.show, "secret_get"),
        ("POST", f"{_APP}/secrets/{{name}}", secrets.set_one, "secret_set"),
        ("DELETE", f"{_APP}/secrets/{{name}}", secrets.delete, "secret_delete"),
        ("POST", f"{_APP}/deploy_token", deploy_tokens.create, "deploy_token"),
    ]


def _of_machines() -> list[tuple[str, str, Answer, str]]:
    return [
        ("GET", f"{_APP}/machines", machines.list_all, "machine_list"),
        ("POST", f"{_APP}/machines", machines.create, "machine_create"),
        ("GET", _MACHINE, machines.show, "machine_get"),
        ("POST", _MACHINE, machines.update, "machine_update"),
        ("DELETE", _MACHINE, machines.delete, "machine_delete"),
        ("GET", f"{_MACHINE}/wait", waits.wait, "machine_wait"),
        ("POST", f"{_MACHINE}/start", actions.start, "machine_start"),
        ("POST", f"{_MACHINE}/stop", actions.stop, "machine_stop"),
        ("POST", f"{_MACHINE}/suspend", actions.suspend, "machine_suspend"),
        ("POST", f"{_MACHINE}/restart", actions.restart, "machine_restart"),
        ("POST", f"{_MACHINE}/signal", actions.signal, "machine_signal"),
        ("POST", f"{_MACHINE}/exec", actions.execute, "machine_exec"),
        ("GET", f"{_MACHINE}/ps", actions.list_processes, "machine_ps"),
        ("POST", f"{_MACHINE}/cordon", actions.cordon, "machine_cordon"),
        ("POST", f"{_MACHINE}/uncordon", actions.uncordon, "machine_uncordon"),
        ("GET", f"{_MACHINE}/events", actions.list_events, "machine_events"),
        ("GET", f"{_MACHINE}/versions", actions.list_versions, "machine_versions"),
        ("GET", f"{_MACHINE}/metadata", actions.show_metadata, "metadata_get"),
        ("PUT", f"{_MACHINE}/metadata", actions.replace_metadata, "metadata_put"),
        ("PATCH", f"{_MACHINE}/metadata", actions.merge_metadata, "metadata_patch"),
        ("GET", f"{_MACHINE}/metadata/{{key}}", actions.show_metadata_key, "metadata_get"),
        ("POST", f"{_MACHINE}/metadata/{{key}}", actions.set_metadata, "metadata_set"),
        ("DELETE", f"{_MACHINE}/metadata/{{key}}", actions.delete_metadata, "metadata_delete"),
        ("GET", f"{_MACHINE}/lease", leases.show, "lease_get"),
        ("POST", f"{_MACHINE}/lease", leases.take, "lease_take"),
        ("DELETE", f"{_MACHINE}/lease", leases.release, "lease_release"),
    ]


def _of_the_rest() -> list[tuple[str, str, Answer, str]]:
    return [
        ("GET", f"{_APP}/volumes", volumes.list_all, "volume_list"),
        ("POST", f"{_APP}/volumes", volumes.create, "volume_create"),
        ("GET", _VOLUME, volumes.show, "volume_get"),
        ("PUT", _VOLUME, volumes.change, "volume_change"),
        ("DELETE", _VOLUME, volumes.delete, "volume_delete"),
        ("PUT", f"{_VOLUME}/extend", volumes.extend, "volume_extend"),
        ("GET", f"{_VOLUME}/snapshots", volumes.list_snapshots, "snapshot_list"),
        ("POST", f"{_VOLUME}/snapshots", volumes.take_snapshot, "snapshot_take"),
        ("GET", "/v1/orgs/{org}/machines", organization.list_machines, "org_machines"),
        ("GET", "/v1/orgs/{org}/volumes", organization.list_volumes, "org_volumes"),
        ("GET", "/v1/platform/regions", platform.list_regions, "regions"),
        ("POST", "/v1/platform/placements", platform.list_placements, "placements"),
        ("GET", "/v1/tokens/current", deploy_tokens.current, "token_get"),
        ("GET", "/api/v1/apps/{app}/logs", log_lines.list_lines, "logs"),
    ]
