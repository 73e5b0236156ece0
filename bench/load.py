"""One measurement: wrk against one server for a few seconds."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.fixtures import LOGINS, MACHINE_TOKENS, TOKENS
from bench.servers import OTHER_CORE, Server, on_core

_SCRIPT = """
local tokens = {tokens}
local logins = {logins}
local count = {start}
function request()
  count = count + 1
  local headers = {{}}
  local path = {path}
  headers["Authorization"] = "Bearer " .. tokens[count % #tokens + 1]
  if {address} then
    headers["X-Forwarded-For"] = string.format(
      "10.%d.%d.%d", math.floor(count / 65536) % 256, math.floor(count / 256) % 256, count % 256)
  end
  if {login} then path = path .. logins[count % #logins + 1] end
  return wrk.format({method}, path, headers)
end
function done(summary, latency)
  local errors = summary.errors
  io.write("RESULT " .. string.format(
    '{{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Route:
    """What is asked."""

    method: str
    path: str
    with_login: bool = False
    many_addresses: bool = False
    # By whoever has so many machines; 0 is somebody without any.
    machines: int = 0


@dataclass(frozen=True)
class Measurement:
    """What one run of wrk found: per second, milliseconds, CPU-milliseconds a request, failures."""

    rate: float
    p50: float
    p99: float
    cpu: float
    memory: float
    failed: int


_runs = 0


def measure(server: Server, route: Route, *, concurrency: int, seconds: float) -> Measurement:
    """Drive one route of one server."""
    global _runs
    _runs += 1
    script = _SCRIPT.format(
        tokens=_lua(MACHINE_TOKENS[route.machines] if route.machines else TOKENS),
        logins=_lua([f"?code={code}&secret={secret}" for code, secret in LOGINS]),
        start=_runs * 1_000_003,
        path=json.dumps(route.path),
        method=json.dumps(route.method),
        login=str(route.with_login).lower(),
        address=str(route.many_addresses).lower(),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.lua"
        path.write_text(script)
        command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", str(path), server.url]
        before = server.cpu_seconds()
        output = subprocess.run(on_core(OTHER_CORE, *command), capture_output=True, text=True, check=True).stdout
        spent = server.cpu_seconds() - before
    result = json.loads(output.split("RESULT ", 1)[1])
    return Measurement(
        rate=result["requests"] / (result["microseconds"] / 1e6),
        p50=result["p50"] / 1000,
        p99=result["p99"] / 1000,
        cpu=spent * 1000 / max(result["requests"], 1),
        memory=server.memory_megabytes(),
        failed=result["failed"],
    )


def _lua(values: list[str]) -> str:
    return "{" + ",".join(json.dumps(value) for value in values) + "}"
