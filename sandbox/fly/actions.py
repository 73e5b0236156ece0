"""What is done to machines beside replacing them: start, stop, suspend, restart, cordon, exec, metadata.

Source: https://fly.io/docs/machines/api/machines-resource/
"""

from typing import Any

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.fly.access import Call
from sandbox.fly.errors import invalid, not_found, precondition
from sandbox.fly.lifecycle import Lifecycle
from sandbox.fly.machine import Machine
from sandbox.fly.machines import changeable

_MOST_EVENTS = 50
_LONGEST_EXEC = 60


def start(call: Call) -> web.Response:
    """Start a machine."""
    before = call.machine.state
    _life(call).start()
    return json_answer({"previous_state": before, "migrated": False, "new_host": ""})


def stop(call: Call) -> web.Response:
    """Stop a machine."""
    _life(call).stop()
    return json_answer({"ok": True})


def suspend(call: Call) -> web.Response:
    """Suspend a machine."""
    _life(call).suspend()
    return json_answer({"ok": True})


def restart(call: Call) -> web.Response:
    """Restart a machine."""
    _life(call).restart()
    return json_answer({"ok": True})


def signal(call: Call) -> web.Response:
    """Send a signal to a running machine; one that ends programs ends this one."""
    name = call.text("signal")
    if not name.startswith("SIG"):
        raise invalid("signal must be the name of a signal")
    life = _life(call)
    _need_started(call.machine)
    if name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT"):
        life.exit(137 if name == "SIGKILL" else 0)
    return json_answer({"ok": True})


def cordon(call: Call) -> web.Response:
    """Take a machine out of the proxy's routing."""
    changeable(call).cordoned = True
    return json_answer({"ok": True})


def uncordon(call: Call) -> web.Response:
    """Let the proxy route to a machine again."""
    changeable(call).cordoned = False
    return json_answer({"ok": True})


def execute(call: Call) -> web.Response:
    """Run a command: `true`, `false` and `echo` do what they do, others what a test ordered."""
    machine, command = changeable(call), call.body.get("command", call.body.get("cmd"))
    words = command.split() if isinstance(command, str) else command
    if not isinstance(words, list) or not words or any(not isinstance(word, str) for word in words):
        raise invalid("command must be a list of strings")
    if not 0 <= float(call.body.get("timeout") or 0) <= _LONGEST_EXEC:
        raise invalid(f"timeout must be at most {_LONGEST_EXEC} seconds")
    _need_started(machine)
    done: dict[str, Any] = {"exit_code": 0, "exit_signal": 0, "stdout": "", "stderr": ""}
    if words[0] == "echo":
        done["stdout"] = " ".join(words[1:]) + "\n"
    elif words[0] == "false":
        done["exit_code"] = 1
    elif words[0] != "true":
        done |= call.app.behaviour.exec
    return json_answer(done)


def list_processes(call: Call) -> web.Response:
    """List the processes of a running machine."""
    _need_started(call.machine)
    return json_answer(
        [{"pid": 1, "command": "/fly/init", "directory": "/", "cpu": 0, "rss": 0, "stime": 0, "rtime": 0}]
    )


def list_events(call: Call) -> web.Response:
    """List what happened, newest first."""
    text = call.request.query.get("limit", str(_MOST_EVENTS))
    if not text.isdigit() or not 1 <= int(text) <= _MOST_EVENTS:
        raise invalid(f"limit must be from 1 to {_MOST_EVENTS}")
    return json_answer([event.as_json() for event in call.machine.events[: int(text)]])


def list_versions(call: Call) -> web.Response:
    """List the configurations a machine had, newest first."""
    versions = reversed(call.machine.versions)
    return json_answer([{"version": version, "user_config": config} for version, config in versions])


def show_metadata(call: Call) -> web.Response:
    """Show the metadata."""
    return json_answer(call.machine.metadata)


def show_metadata_key(call: Call) -> web.Response:
    """Show one."""
    value = call.machine.metadata.get(call.request.match_info["key"])
    if value is None:
        raise not_found("metadata key")
    return json_answer({"value": value})


def replace_metadata(call: Call) -> web.Response:
    """Replace all metadata, without a reboot."""
    return _change_metadata(call, keep=False)


def merge_metadata(call: Call) -> web.Response:
    """Change some metadata, without a reboot; null takes one away."""
    return _change_metadata(call, keep=True)


def set_metadata(call: Call) -> web.Response:
    """Set one."""
    machine, value = changeable(call), call.body.get("value")
    if not isinstance(value, str):
        raise invalid("value must be a string")
    machine.metadata[call.request.match_info["key"]] = value
    return _changed(call, machine, web.Response(status=204))


def delete_metadata(call: Call) -> web.Response:
    """Take one away."""
    machine = changeable(call)
    if machine.metadata.pop(call.request.match_info["key"], None) is None:
        raise not_found("metadata key")
    return _changed(call, machine, web.Response(status=204))


def _change_metadata(call: Call, *, keep: bool) -> web.Response:
    machine = changeable(call)
    sent = call.body.get("metadata", call.body)
    if not isinstance(sent, dict) or any(not isinstance(value, str | None) for value in sent.values()):
        raise invalid("metadata must be an object of strings")
    expected = call.body.get("machine_version") if "metadata" in call.body else None
    if expected is not None and expected != machine.instance_id:
        raise precondition(f"machine version mismatch, expected {expected} but found {machine.instance_id}")
    after = (machine.metadata if keep else {}) | sent
    machine.config["metadata"] = {name: value for name, value in after.items() if value is not None}
    return _changed(call, machine, json_answer(machine.metadata))


def _changed(call: Call, machine: Machine, answer: web.Response) -> web.Response:
    machine.updated_at = call.now
    return answer


def _life(call: Call) -> Lifecycle:
    return Lifecycle(call.fly, call.app, changeable(call))


def _need_started(machine: Machine) -> None:
    if machine.state != "started":
        raise precondition(f"machine is not running, its current state is '{machine.state}'")
