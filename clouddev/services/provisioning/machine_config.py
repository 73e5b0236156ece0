"""What a machine looks like at Fly: the contract's guest, volume and services."""

from collections.abc import Mapping

from django.conf import settings

MACHINE_NAME = "dev"
VOLUME_NAME = "app_data"
VOLUME_PATH = "/data"
DEV_SERVER_PORT = 4173
SSH_PORT = 2222


def guest() -> dict[str, object]:
    """The virtual machine's size."""
    return {"cpu_kind": "shared", "cpus": settings.CLOUD_DEV_CPUS, "memory_mb": settings.CLOUD_DEV_MEMORY_MB}


def config(*, volume_id: str, metadata: Mapping[str, str]) -> dict[str, object]:
    """The machine's config, as Fly's `POST /v1/apps/{app}/machines` takes it.

    It bears none of the marks of `flyctl deploy`, so that no deployment ever touches it.
    """
    web = [{"port": 443, "handlers": ["tls", "http"]}, {"port": 80, "handlers": ["http"], "force_https": True}]
    return {
        "image": settings.CLOUD_DEV_IMAGE,
        "guest": guest(),
        "mounts": [{"volume": volume_id, "path": VOLUME_PATH}],
        "services": [
            _service(DEV_SERVER_PORT, web),
            _service(SSH_PORT, [{"port": SSH_PORT, "handlers": []}]),
        ],
        "restart": {"policy": "on-failure", "max_retries": 10},
        "auto_destroy": False,
        "metadata": dict(metadata),
    }


def _service(port: int, ports: list[dict[str, object]]) -> dict[str, object]:
    return {
        "protocol": "tcp",
        "internal_port": port,
        "ports": ports,
        "autostop": "stop",
        "autostart": True,
        "min_machines_running": 0,
    }
