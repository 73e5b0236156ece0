"""Starts a sandbox of one's own and steers it, for tests and benchmarks.

    with SandboxProcess() as sandbox:
        sandbox.faults(target="nango", match="GET /connections", status=503)

Each process listens on a free port and holds its own state.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import urllib3

_ROOT = Path(__file__).resolve().parent.parent
_BANNER = "sandbox listening on "
_CREATED_OR_NOT = 300


class SandboxProcess:
    """One running sandbox. `url` is its address, without a slash at the end."""

    def __init__(self, *, port: int = 0, environment: Mapping[str, str] | None = None) -> None:
        """Prepare; nothing runs before `start()`."""
        self.url = ""
        self._port = port
        self._environment = {"PATH": os.environ.get("PATH", ""), **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str]
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    @property
    def github_url(self) -> str:
        """The value for GITHUB_URL."""
        return f"{self.url}/github"

    @property
    def github_api_url(self) -> str:
        """The value for GITHUB_API_URL."""
        return f"{self.url}/github/api"

    @property
    def nango_url(self) -> str:
        """The value for NANGO_SERVER_URL."""
        return f"{self.url}/nango"

    @property
    def fly_url(self) -> str:
        """The value for FLY_API_URL and FLY_PLATFORM_URL."""
        return f"{self.url}/fly"

    @property
    def fly_app_url(self) -> str:
        """The value for FLY_APP_URL."""
        return f"{self.url}/fly/apps/{{app}}"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "the sandbox is not running"
        return self._process.pid

    @property
    def complaints(self) -> str:
        """What the process has written to its standard error: nothing, when all is well."""
        self._errors.seek(0)
        return self._errors.read()

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        self._errors = tempfile.TemporaryFile("a+")  # noqa: SIM115 - closed in stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", str(self._port)],
            cwd=_ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(_BANNER):
            self._process.wait(timeout=10)
            message = f"the sandbox did not start: {self.complaints}"
            self.stop()
            raise RuntimeError(message)
        self.url = line.removeprefix(_BANNER).strip()
        return self

    def next_line(self) -> str:
        """What the process says next, without the end of the line."""
        assert self._process is not None, "the sandbox is not running"
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def stop(self) -> int | None:
        """Stop the process and give its exit code; what it complained of goes to our own stderr."""
        process, self._process = self._process, None
        if process is None:
            return None
        self._http.clear()
        process.terminate()
        try:
            code = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        sys.stderr.write(self.complaints)
        self._errors.close()
        return code

    def __enter__(self) -> Self:
        """Start on entering."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop on leaving."""
        self.stop()

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control interface; gives the JSON answer, or None. Raises on a refusal."""
        response = self._http.request(
            method,
            f"{self.url}/_sandbox{path}",
            body=None if body is None else json.dumps(body),
            headers=None if body is None else {"Content-Type": "application/json"},
        )
        if response.status >= _CREATED_OR_NOT:
            message = f"{method} {path}: {response.status} {response.data!r}"
            raise ValueError(message)
        return json.loads(response.data) if response.data else None

    def faults(self, **fault: object) -> None:
        """Order one fault: target, match, status, delay, drop, body, times."""
        self.control("POST", "/faults", fault)

    def clear_faults(self) -> None:
        """End all faults."""
        self.control("DELETE", "/faults")

    def reset(self) -> None:
        """Go back to how the process started."""
        self.control("POST", "/reset")

    def state(self) -> dict[str, Any]:
        """Give all that the stand-ins hold."""
        return dict(self.control("GET", "/state"))

    def requests(self, target: str | None = None) -> list[dict[str, Any]]:
        """List what was asked, oldest first."""
        suffix = f"?target={target}" if target else ""
        return list(self.control("GET", f"/requests{suffix}")["requests"])

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self.control("DELETE", "/requests")

    def settings(self, **settings: object) -> dict[str, Any]:
        """Change settings, such as rate_limit_per_minute and webhook_url; gives them all."""
        return dict(self.control("POST", "/settings", settings))

    def seed(self, **connections: object) -> list[str]:
        """Make connections at Nango without a webhook; gives their ids."""
        answer = self.control("POST", "/nango/connections", connections)
        return list(answer["connection_ids"])

    def change_connection(self, integration: str, connection_id: str, **change: object) -> None:
        """Change a connection: expires_in, refresh, tags, end_user, errors."""
        path = f"/nango/connections/{quote(integration, safe='')}/{quote(connection_id, safe='')}"
        self.control("POST", path, change)

    def github_person(self, login: str, /, **change: object) -> dict[str, Any]:
        """Change a person at GitHub: login (renames), emails, orgs, public_orgs; gives them."""
        return dict(self.control("POST", f"/github/people/{quote(login, safe='')}", change))

    def github_organization(self, login: str, /, **change: object) -> dict[str, Any]:
        """Change an organization at GitHub: members (logins of all), id, is_gone, moved_to; gives it."""
        return dict(self.control("POST", f"/github/organizations/{quote(login, safe='')}", change))

    def github_org_token(self, **change: object) -> None:
        """Change the server's own token at GitHub: scopes, revoked."""
        self.control("POST", "/github/org-token", change)

    def send_webhook(self, **webhook: object) -> dict[str, Any]:
        """Send a webhook now and give what the receiver answered."""
        return dict(self.control("POST", "/nango/webhooks", webhook))

    def press_connect(self, *, session: str = "", **form: str) -> None:
        """Do what a person does on Nango's page of the connect session, else the newest: fill it in, press Connect."""
        token = session or list(self.state()["nango"]["sessions"])[-1]
        url = f"{self.nango_url}/connect/?session_token={token}"
        response = self._http.request("POST", url, fields={"x": "1", **form}, encode_multipart=False)
        assert response.status < _CREATED_OR_NOT, response.data

    def webhooks(self, *, settle: float = 5) -> list[dict[str, Any]]:
        """List the webhooks sent, after those on their way have arrived (`settle` seconds at most)."""
        return list(self.control("GET", f"/nango/webhooks?settle={settle}")["webhooks"])

    def fly_settings(self, **knobs: object) -> dict[str, Any]:
        """Turn knobs of Fly, such as app_lag_reads, secrets_lag_seconds, rate_limits; gives them all."""
        return dict(self.control("POST", "/fly/settings", knobs))

    def fly_clock(self, *, factor: float | None = None, advance: float = 0) -> None:
        """Change the pace of Fly's machines (1 is Fly's own, 0 stands still), and skip seconds."""
        self.control("POST", "/fly/clock", {"factor": factor, "advance": advance})

    def fly_room(self, region: str, **room: int | None) -> None:
        """Say how many machines and volumes a region takes, and how much memory (quota_mb); None is no limit."""
        self.control("POST", f"/fly/regions/{region}", room)

    def add_fly_app(self, name: str, **fields: str) -> None:
        """Let an app appear without anybody's doing: org_slug (ours, unless said), network."""
        self.control("POST", "/fly/apps", {"name": name, **fields})

    def remove_fly_app(self, name: str) -> None:
        """Take an app away at once, as somebody in the dashboard would."""
        self.control("DELETE", f"/fly/apps/{quote(name, safe='')}")

    def fly_app(self, name: str, **behaviour: object) -> None:
        """Say how an app's program answers: status, delay, body, dev_health, workflows, exec; None is as usual."""
        self.control("POST", f"/fly/apps/{quote(name, safe='')}", behaviour)

    def fly_lines(self, name: str, *lines: str | dict[str, str]) -> None:
        """Let an app write lines to its log."""
        self.control("POST", f"/fly/apps/{quote(name, safe='')}/logs", {"lines": lines})

    def fly_machine(self, machine_id: str, **change: object) -> None:
        """Let something happen to a machine: exit_code, oom_killed, checks, host_status, state, released."""
        self.control("POST", f"/fly/machines/{quote(machine_id, safe='')}", change)

    def revoke_fly_tokens(self) -> None:
        """Make Fly forget every deploy token."""
        self.control("DELETE", "/fly/tokens")
