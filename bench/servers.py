"""Starts what is measured, our gunicorn and the yardstick, and measures it: wrk against one server for a few seconds.

The servers run on the first core; the database, the upstreams and the load on the second.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import urllib3

from bench.fixtures import FLY_ORGANIZATION, HOLDERS, LOGINS
from dev.default_env import new_signing_key
from dev.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
_starts = count(step=1_000_003)
OURS, BARE = "config.wsgi:application", "bench.bare_wsgi:application"
_SERVER_CORE, _OTHER_CORE = "0", "1"
_SCRIPT = """
local tokens, logins, count = {tokens}, {logins}, {start}
function request()
  count = count + 1
  local path, headers = {path}, {{}}
  headers["Authorization"] = "Bearer " .. tokens[count % #tokens + 1]
  if {many_addresses} then
    headers["X-Forwarded-For"] = string.format(
      "10.%d.%d.%d", math.floor(count / 65536) % 256, math.floor(count / 256) % 256, count % 256)
  end
  if {with_login} then path = path .. logins[count % #logins + 1] end
  local body = nil
  if {with_key} then
    body = string.format('{{"apiKey": "%s"}}', tokens[count % #tokens + 1])
    headers["Authorization"] = nil
    headers["Content-Type"] = "application/json"
  end
  return wrk.format({method}, path, headers, body)
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
class Measurement:
    """What one run of wrk found: requests per second, milliseconds, failures."""

    rate: float
    p50: float
    p99: float
    failed: int


def measure(server: str, request: str, *, concurrency: int, seconds: int, machines: int) -> Measurement:
    """Drive one route, "METHOD path", with tokens of whoever has so many machines."""
    method, path = request.split(" ")
    script = _SCRIPT.format(
        tokens=_lua(HOLDERS[machines]),
        logins=_lua([f"?code={code}&secret={secret}" for code, secret in LOGINS]),
        start=next(_starts),
        path=json.dumps(path),
        method=json.dumps(method),
        with_login=json.dumps(path.endswith("/check")),
        many_addresses=json.dumps(path.endswith(("/session", "/validate-key"))),
        with_key=json.dumps(path.endswith("/validate-key")),
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", file.name, server]
        done = subprocess.run(_on_core(_OTHER_CORE, *command), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.split("RESULT ", 1)[1])
    rate = found["requests"] / (found["microseconds"] / 1e6)
    return Measurement(rate=rate, p50=found["p50"] / 1000, p99=found["p99"] / 1000, failed=found["failed"])


def _lua(values: list[str]) -> str:
    return "{" + ",".join(json.dumps(value) for value in values) + "}"


def _on_core(core: str, *command: str) -> list[str]:
    can = (os.cpu_count() or 1) > 1 and shutil.which("taskset")
    return ["taskset", "-c", core, *command] if can else list(command)


@contextmanager
def upstream(delay: float) -> Iterator[str]:
    """A stand-in for Nango and Fly that answers after `delay` seconds; its address."""
    port = free_port()
    command = _on_core(_OTHER_CORE, sys.executable, "-m", "bench.upstream", str(port), str(delay))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def served(application: str, settings: dict[str, str], log: Path) -> Iterator[str]:
    """A WSGI application under the image's gunicorn settings; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", application]
    settings = {**settings, "BIND": f"127.0.0.1:{port}", "PUBLIC_URL": url}
    words = _on_core(_SERVER_CORE, *command)
    with log.open("wb") as output, subprocess.Popen(words, env=settings, cwd=ROOT, stdout=output, stderr=output) as one:
        try:
            deadline = time.monotonic() + 60
            while not _answers(url):
                if time.monotonic() > deadline or one.poll() is not None:
                    raise SystemExit(f"{application} did not start; its log is {log}")
                time.sleep(0.1)
            yield url
        finally:
            one.terminate()


def _answers(url: str) -> bool:
    with suppress(urllib3.exceptions.HTTPError):
        urllib3.request("GET", f"{url}/api/auth/cli/check?code={LOGINS[0][0]}&secret=x", retries=False, timeout=5)
        return True
    return False


def environment(database: str, upstream: str, cache_seconds: int) -> dict[str, str]:
    """Production settings, one worker process."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SECRET_KEY": "not-a-secret-only-for-measuring-0123456789abcdefghijklmnopqrst",
        "ENCRYPTION_KEYS": "1:bm90LWEtc2VjcmV0LS1vbmx5LWZvci10ZXN0cy0zMmI=",
        "PUBLIC_URL": "http://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": "20",
        "DATABASE_URL": database,
        "NANGO_SERVER_URL": upstream,
        "NANGO_SECRET_KEY": "00000000-0000-4000-8000-000000000001",
        "NANGO_WEBHOOK_SIGNING_KEY": "not-a-secret-either",
        "CREDENTIALS_CACHE_SECONDS": str(cache_seconds),
        "TRUSTED_PROXY_COUNT": "1",
        "CLI_LOGIN_STARTS_PER_MINUTE": "100000000",
        "NANGO_CALLS_PER_PERSON": "100000000",
        "FLY_API_TOKEN": "not-a-secret-either",
        "FLY_API_URL": upstream,
        "FLY_PLATFORM_URL": upstream,
        "FLY_APP_URL": f"{upstream}/apps/{{app}}",
        "FLY_ORG": FLY_ORGANIZATION,
        "DEV_UI_JWT_PRIVATE_KEY": new_signing_key(),
    }
