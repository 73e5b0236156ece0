"""The command line, the environment and the files that flyctl gets: all made anew, nothing of ours."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from fly.clients.flyctl.types import FlyctlMissing, Order

_DEFAULT_API_URL = "https://api.machines.dev"
_DEFAULT_PLATFORM_URL = "https://api.fly.io"
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
# What keeps flyctl quiet, plain and by itself (internal/env, internal/buildinfo and internal/command/deploy of flyctl).
_HABITS = {
    "FLY_NO_UPDATE_CHECK": "1",
    "FLY_NO_INCIDENTS_CHECK": "1",
    "FLY_SEND_METRICS": "0",
    "FLY_SYNTHETICS_AGENT": "0",
    # Traces would go out over plain HTTP with the token in a header.
    "FLY_TRACE_COLLECTOR_URL": "127.0.0.1",
    "FLY_EMIT_RELEASE_JSON": "1",
    "NO_COLOR": "1",
    "BUILDKIT_PROGRESS": "plain",
    "LANG": "C.UTF-8",
}


def find_program() -> str:
    """Give the path of flyctl. Raises FlyctlMissing where there is none that can be run."""
    found = shutil.which(settings.FLYCTL, path=_path())
    if found is None:
        raise FlyctlMissing
    return str(Path(found).resolve())


def command_line(order: Order, program: str) -> list[str]:
    """Give program and arguments of `flyctl deploy` (https://fly.io/docs/flyctl/deploy/). No secret is in it.

    One machine only (`--ha=false`), no WireGuard and so no agent left behind (`--wg=false`), no question asked.
    """
    command = [
        program,
        "deploy",
        str(order.context),
        "-c",
        str(order.config),
        "-a",
        order.app,
        "--remote-only",
        f"--depot={settings.FLY_DEPLOY_DEPOT}",
        "--ha=false",
        "--wg=false",
        "--dns-checks=false",
        "--yes",
        "--image-label",
        order.label,
    ]
    return [*command, "--image", order.image] if order.image else command


def environment(order: Order) -> dict[str, str]:
    """Give the whole environment of the program. Of ours only PATH is in it.

    A server that itself runs on Fly has FLY_REGION, FLY_APP_NAME and more around it, which flyctl would obey.
    """
    return {
        "PATH": _path(),
        "HOME": str(order.home),
        "FLY_CONFIG_DIR": str(_config_folder(order)),
        "TMPDIR": str(order.temporary),
        "FLY_API_TOKEN": order.deploy_token,
        **_HABITS,
        **_addresses(),
        **_ways_out(),
    }


def prepare_folders(order: Order) -> None:
    """Make home and temporary folder, for nobody else's eyes, and tell flyctl which secrets the app has.

    flyctl knows only versions of secrets that it set itself, in `app_secrets_minvers` of its config.yml; without
    ours a machine could start with the older ones.
    """
    for folder in (order.home, _config_folder(order), order.temporary):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [] if order.secrets_version is None else ["app_secrets_minvers:", f"  {order.app}: {order.secrets_version}"]
    target = os.open(_config_folder(order) / "config.yml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(target, "w") as file:
        file.writelines(f"{line}\n" for line in lines)


def secrets_within() -> list[str]:
    """Give what is secret in the environment besides the deploy token: the password of the proxy."""
    password = urlsplit(settings.OUTGOING_PROXY_URL).password
    return [password] if password else []


def _path() -> str:
    return os.environ.get("PATH") or _DEFAULT_PATH


def _config_folder(order: Order) -> Path:
    return order.home / ".fly"


def _addresses() -> dict[str, str]:
    addresses: dict[str, str] = {}
    if settings.FLY_PLATFORM_URL != _DEFAULT_PLATFORM_URL:
        addresses["FLY_API_BASE_URL"] = settings.FLY_PLATFORM_URL
    if settings.FLY_API_URL != _DEFAULT_API_URL:
        addresses["FLY_FLAPS_BASE_URL"] = settings.FLY_API_URL
    return addresses


def _ways_out() -> dict[str, str]:
    ways: dict[str, str] = {}
    if settings.OUTGOING_PROXY_URL:
        ways |= {"HTTPS_PROXY": settings.OUTGOING_PROXY_URL, "HTTP_PROXY": settings.OUTGOING_PROXY_URL}
    if settings.OUTGOING_CA_FILE:
        ways["SSL_CERT_FILE"] = settings.OUTGOING_CA_FILE
    return ways
