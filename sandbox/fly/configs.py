"""What a machine's configuration may say.

Source: https://fly.io/docs/machines/api/machines-resource/#machine-config-object-properties
"""

import copy
from typing import Any

from sandbox.fly.errors import FlyError, invalid, unprocessable

_STEP_MB = 256
# Least and most memory per processor.
_MEMORY = {"shared": (256, 2048), "performance": (2048, 8192)}
_PROCESSORS = {"shared": (1, 2, 4, 6, 8), "performance": (1, 2, 4, 8, 16)}
_KINDS: dict[str, type] = {
    "env": dict,
    "init": dict,
    "guest": dict,
    "metadata": dict,
    "checks": dict,
    "restart": dict,
    "stop_config": dict,
    "mounts": list,
    "services": list,
    "files": list,
    "processes": list,
    "containers": list,
    "auto_destroy": bool,
}


def checked(sent: object) -> dict[str, Any]:
    """Give a configuration of one's own, with the defaults filled in. Raises FlyError."""
    if not isinstance(sent, dict):
        raise invalid("config must be an object")
    config: dict[str, Any] = copy.deepcopy({name: value for name, value in sent.items() if value is not None})
    if not (isinstance(config.get("image"), str) and config["image"]) and not config.get("containers"):
        raise unprocessable("config.image is required")
    for name, kind in _KINDS.items():
        if name in config and not isinstance(config[name], kind):
            raise invalid(f"config.{name} has the wrong type")
    if len(config.get("mounts", [])) > 1:
        raise unprocessable("a machine can have one mount at most")
    for name in ("env", "metadata"):
        if any(not isinstance(value, str) for value in config.get(name, {}).values()):
            raise invalid(f"config.{name} must have strings for values")
    config["guest"] = _guest(config.get("guest", {}))
    config.setdefault("metadata", {})
    config.setdefault("restart", {"policy": "on-failure", "max_retries": 10})
    return config


def _guest(sent: dict[str, Any]) -> dict[str, Any]:
    kind, count = sent.get("cpu_kind", "shared"), sent.get("cpus", 1)
    if kind not in _MEMORY:
        raise _bad_guest(f"cpu_kind {kind!r} is unknown")
    if count not in _PROCESSORS[kind]:
        raise _bad_guest(f"{count} is not a number of {kind} cpus")
    least, most = (bound * count for bound in _MEMORY[kind])
    memory = sent.get("memory_mb", least)
    if not isinstance(memory, int) or memory % _STEP_MB or not least <= memory <= most:
        raise _bad_guest(f"memory_mb must be a multiple of {_STEP_MB} from {least} to {most}")
    return {**sent, "cpu_kind": kind, "cpus": count, "memory_mb": memory}


def _bad_guest(text: str) -> FlyError:
    return unprocessable(f"guest is invalid: {text}")
