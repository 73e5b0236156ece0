"""Starts what is measured: our gunicorn, the bare WSGI yardstick, the express yardstick, and the upstreams.

The servers run on the first core; the database, the upstreams and the load on the second.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.fixtures import FLY_ORGANIZATION
from dev.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE, OTHER_CORE = "0", "1"
THREADS = 20


def on_core(core: str, *command: str) -> list[str]:
    """The command, bound to one core where the machine lets us."""
    if os.cpu_count() == 1 or not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", core, *command]


@dataclass
class Server:
    """One running server of one kind ("ours", "bare" or "express")."""

    kind: str
    command: list[str]
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, log: Path) -> None:
        command = [part.replace("{port}", str(self.port)) for part in self.command]
        environment = {name: value.replace("{port}", str(self.port)) for name, value in self.environment.items()}
        self.log = log / f"{self.kind}-{self.port}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                on_core(SERVER_CORE, *command), env=environment, cwd=ROOT, stdout=output, stderr=output
            )
        self._wait()

    def _wait(self) -> None:
        http = urllib3.PoolManager(retries=False, timeout=2)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                http.request("GET", f"{self.url}/api/auth/cli/check?code=00000000&secret=x", redirect=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{self.kind} did not start; its log is {self.log}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)

    def _tree(self) -> list[psutil.Process]:
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """CPU time of the whole process tree, from the scheduler's own count."""
        total = 0
        for process in self._tree():
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory_megabytes(self) -> float:
        """Proportional set size of the tree."""
        return sum(process.memory_full_info().pss for process in self._tree()) / 1e6


def gunicorn_environment(database_url: str, upstream: str, cache_seconds: int, **extra: str) -> dict[str, str]:
    """Production settings, one worker process."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SECRET_KEY": "not-a-secret-only-for-measuring-0123456789abcdefghijklmnopqrst",
        "ENCRYPTION_KEYS": "1:bm90LWEtc2VjcmV0LS1vbmx5LWZvci10ZXN0cy0zMmI=",
        "PUBLIC_URL": "http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "BIND": "127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": str(THREADS),
        "DATABASE_URL": database_url,
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
        "DEV_UI_JWT_PRIVATE_KEY": _signing_key(),
        "LOG_LEVEL": os.environ.get("BENCH_LOG_LEVEL", "INFO"),
        **extra,
    }


@cache
def _signing_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def ours(database_url: str, upstream: str, cache_seconds: int) -> Server:
    """Our server, exactly as the image runs it."""
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "config.wsgi:application"]
    return Server("ours", command, gunicorn_environment(database_url, upstream, cache_seconds))


def bare(database_url: str, upstream: str) -> Server:
    """The bare WSGI application under the same gunicorn settings."""
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "bench.bare_wsgi:application"]
    return Server("bare", command, gunicorn_environment(database_url, upstream, 0, UPSTREAM=upstream))


def express(database_url: str, upstream: str, cache_seconds: int, folder: Path) -> Server:
    """The express server, from the folder where its packages are."""
    environment = gunicorn_environment(database_url, upstream, cache_seconds, UPSTREAM=upstream, PORT="{port}")
    return Server("express", ["node", str(folder / "server.js")], environment | {"NODE_ENV": "production"})


def install_express(state: Path) -> Path | None:
    """A folder with the express yardstick and its packages, None where there is no Node."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    folder = state / "express"
    folder.mkdir(parents=True, exist_ok=True)
    wanted, installed = (ROOT / "bench" / "express" / "package.json").read_text(), folder / "installed.json"
    for name in ("package.json", "server.js"):
        shutil.copy(ROOT / "bench" / "express" / name, folder / name)
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True
        )
        installed.write_text(wanted)
    return folder


class UpstreamProcess:
    """A running stand-in for Nango that answers after `delay` seconds."""

    def __init__(self, delay: float) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = on_core(OTHER_CORE, sys.executable, "-m", "bench.upstream", str(self.port), str(delay))
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
