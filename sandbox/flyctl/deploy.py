"""`flyctl deploy`: build, push, and bring the image to the app's machines."""

import json
import os
import re
import time
import tomllib
import uuid
from pathlib import Path
from typing import Any

from sandbox.flyctl.api import FlyAPI
from sandbox.flyctl.build import Build
from sandbox.flyctl.console import Failed, err, out
from sandbox.flyctl.flags import Flags
from sandbox.flyctl.machines import Machines

_MOMENT = 0.05
_MEGABYTES = re.compile(r"(\d+)\s*(mb|gb)?", re.IGNORECASE)
_SECRETS_VERSION = re.compile(r"""\s+["']?([a-z0-9-]+)["']?:\s*(\d+)\s*""")


def deploy(flags: Flags) -> None:
    """Do it. Raises Failed with the sentence for stderr, or Interrupted."""
    folder = _config_folder()
    token = os.environ.get("FLY_ACCESS_TOKEN") or os.environ.get("FLY_API_TOKEN")
    if not token:
        raise Failed("no access token available. Please login with 'flyctl auth login'")
    context = Path(flags.rest[0] if flags.rest else ".")
    if not context.is_dir():
        raise Failed(f"{context} is not a directory")
    path = Path(flags.values.get("config") or context / "fly.toml")
    config = _read_config(path)
    app = flags.values.get("app") or config.get("app")
    if not app:
        raise Failed("the config for your app is missing an app name")
    machines = Machines(_api(token), app, _secrets_version(folder, app))
    _verify(machines, path)
    image = flags.values.get("image") or _build(flags, context, path, config, app)
    if flags.values.get("image"):
        out(f"Searching for image '{image}' remotely...")
        out(f"image found: img_{uuid.uuid4().hex[:16]}")
    _release(machines, flags, config, app, image)


def _verify(machines: Machines, path: Path) -> None:
    err("==> Verifying app config")
    out(f"Validating {path}")
    machines.require_app()
    out("✓ Configuration is valid")
    err("--> Verified app config")


def _build(flags: Flags, context: Path, path: Path, config: dict[str, Any], app: str) -> str:
    err("==> Building image")
    waits_for = "remote" if flags.values["depot"] == "false" else "depot"
    err(f"Waiting for {waits_for} builder fly-builder-sandbox...")
    time.sleep(_MOMENT)
    err("Remote builder fly-builder-sandbox ready")
    named = flags.values.get("dockerfile") or (config.get("build") or {}).get("dockerfile")
    dockerfile = path.parent / named if named and (path.parent / named).is_file() else context / (named or "Dockerfile")
    if not dockerfile.is_file():
        raise Failed(
            "failed to fetch an image or build from source: app does not have a Dockerfile or buildpacks configured. "
            "See https://fly.io/docs/reference/configuration/#the-build-section"
        )
    err("==> Creating build context")
    time.sleep(_MOMENT)
    err("--> Creating build context done")
    err("==> Building image with Docker")
    label = flags.values.get("image-label") or f"deployment-{uuid.uuid4().hex[:26].upper()}"
    image = f"{os.environ.get('FLY_REGISTRY_HOST', 'registry.fly.io')}/{app}:{label}"
    Build(context, dockerfile).run(image)
    err("--> Building image done")
    err("==> Pushing image to fly")
    time.sleep(_MOMENT)
    err("--> Pushing image done")
    out(f"image: {image}")
    out("image size: 57 MB")
    return image


def _release(machines: Machines, flags: Flags, config: dict[str, Any], app: str, image: str) -> None:
    found = machines.managed()
    version = 1 + max((_release_version(machine) for machine in found), default=0)
    release = f"rel_{uuid.uuid4().hex[:16]}"
    out("")
    out(f"Watch your deployment at https://fly.io/apps/{app}/monitoring")
    out("")
    out("-------")
    made = _machine_config(config, image, release, version)
    machines.deploy(made, region=config.get("primary_region"), count=2 if flags.switches["ha"] else 1)
    out("-------")
    if flags.switches["dns-checks"]:
        out(f"Checking DNS configuration for {app}.fly.dev")
    if os.environ.get("FLY_EMIT_RELEASE_JSON") == "1":
        out(json.dumps({"id": release, "version": version, "image_ref": image}, separators=(",", ":")))
    out("")
    out(f"Visit your newly deployed app at https://{app}.fly.dev/")


def _release_version(machine: dict[str, Any]) -> int:
    text = str(machine["config"].get("metadata", {}).get("fly_release_version", "0"))
    return int(text) if text.isdigit() else 0


def _config_folder() -> Path:
    chosen = os.environ.get("FLY_CONFIG_DIR")
    home = os.environ.get("HOME")
    if not chosen and not home:
        raise Failed("failed determining config directory: $HOME is not defined")
    folder = Path(chosen) if chosen else Path(str(home), ".fly")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "perms-test").write_text("")
        (folder / "perms-test").unlink()
    except OSError as error:
        raise Failed(f"failed ensuring config directory perms: {error}") from error
    return folder


def _api(token: str) -> FlyAPI:
    base = os.environ.get("FLY_FLAPS_BASE_URL")
    if not base:
        raise Failed("this stand-in speaks to the sandbox only: set FLY_FLAPS_BASE_URL")
    return FlyAPI(base, token)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failed(f"failed loading app config from {path}: {error}") from error


def _secrets_version(folder: Path, app: str) -> int | None:
    """Read `app_secrets_minvers` of config.yml, as far as we write it: one `app: number` a line."""
    path = folder / "config.yml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _, _, listed = text.partition("app_secrets_minvers:")
    versions = {found[1]: int(found[2]) for line in listed.splitlines() if (found := _SECRETS_VERSION.fullmatch(line))}
    return versions.get(app)


def _machine_config(config: dict[str, Any], image: str, release: str, version: int) -> dict[str, Any]:
    environment = {name: str(value) for name, value in (config.get("env") or {}).items()}
    return {
        "image": image,
        "env": {"FLY_PROCESS_GROUP": "app", **environment},
        "guest": _guest(config),
        "services": [_service(config["http_service"])] if "http_service" in config else [],
        "restart": {"policy": "on-failure", "max_retries": 10},
        "metadata": {
            "fly_platform_version": "v2",
            "fly_process_group": "app",
            "fly_release_id": release,
            "fly_release_version": str(version),
            "fly_flyctl_version": "0.0.0-sandbox",
        },
    }


def _guest(config: dict[str, Any]) -> dict[str, Any]:
    vms = config.get("vm") or [{}]
    vm = vms[0] if isinstance(vms, list) else vms
    found = _MEGABYTES.match(str(vm.get("memory") or vm.get("memory_mb") or "256"))
    amount, unit = (int(found[1]), (found[2] or "mb").lower()) if found else (256, "mb")
    kind, _, cpus = str(vm.get("size") or "shared-cpu-1x").rpartition("-")
    return {
        "cpu_kind": str(vm.get("cpu_kind") or ("performance" if kind == "performance" else "shared")),
        "cpus": int(vm.get("cpus") or cpus.removesuffix("x") or 1),
        "memory_mb": amount * 1024 if unit == "gb" else amount,
    }


def _service(service: dict[str, Any]) -> dict[str, Any]:
    stop = service.get("auto_stop_machines", "off")
    return {
        "protocol": "tcp",
        "internal_port": service.get("internal_port", 8080),
        "ports": [
            {"port": 80, "handlers": ["http"], "force_https": bool(service.get("force_https"))},
            {"port": 443, "handlers": ["http", "tls"]},
        ],
        "autostop": {True: "stop", False: "off"}.get(stop, stop) if isinstance(stop, bool) else stop,
        "autostart": bool(service.get("auto_start_machines", True)),
        "min_machines_running": service.get("min_machines_running", 0),
    }
