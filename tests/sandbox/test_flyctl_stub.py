"""The stand-in for flyctl says, does and ends as the real one would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.sandbox_process import SandboxProcess

_FLYCTL = Path(__file__).resolve().parents[2] / "sandbox" / "bin" / "flyctl"
_USUAL = ["--remote-only", "--depot=false", "--ha=false", "--wg=false", "--dns-checks=false", "--yes"]
_TOML = """\
app = "crayon-a"
primary_region = "ams"
[env]
CRAYON_COMMIT = "abc123"
[http_service]
internal_port = 3000
auto_stop_machines = "stop"
[[vm]]
memory = "512mb"
"""


class Stub:
    """flyctl with a context, a configuration and a token for the app `crayon-a`."""

    def __init__(self, sandbox: SandboxProcess, http: urllib3.PoolManager, folder: Path) -> None:
        self.sandbox = sandbox
        self._http = http
        self.folder = folder
        self.context = folder / "context"
        self.context.mkdir()
        (folder / "fly.toml").write_text(_TOML)
        sandbox.fly_clock(factor=20)
        self.ask("POST", "/v1/apps", {"name": "crayon-a", "org_slug": "sandbox"})
        token = self.ask("POST", "/v1/apps/crayon-a/deploy_token", {"expiry": "1h"})["token"]
        self.environment = {
            # The interpreter of the tests, not a wrapper that chooses one.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "FLY_API_TOKEN": token,
            "FLY_FLAPS_BASE_URL": sandbox.fly_url,
            "FLY_EMIT_RELEASE_JSON": "1",
            "LANG": "C.UTF-8",
        }

    def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": "Bearer sandbox-fly-org-token", "Content-Type": "application/json"}
        answer = self._http.request(method, self.sandbox.fly_url + path, body=json.dumps(body), headers=headers)
        assert answer.status < 300, answer.data
        return json.loads(answer.data)

    def dockerfile(self, *lines: str) -> None:
        (self.context / "Dockerfile").write_text("\n".join(["FROM node:20", *lines]) + "\n")

    def command(self, *more: str) -> list[str]:
        config = str(self.folder / "fly.toml")
        named = ["deploy", str(self.context), "-c", config, "-a", "crayon-a", "--image-label", "build-1"]
        return [str(_FLYCTL), *named, *_USUAL, *more]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(arguments), env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def deploy(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.command(*more))

    @contextmanager
    def started(self, until: str) -> Iterator[subprocess.Popen[str]]:
        """A deployment that has just printed a line with `until` in it, stdout and stderr together."""
        with subprocess.Popen(
            self.command(),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if until in line:
                        break
                yield process
            finally:
                process.kill()

    @property
    def machines(self) -> list[dict[str, Any]]:
        return list(self.sandbox.state()["fly"]["machines"].values())


@pytest.fixture
def stub(sandbox_process: SandboxProcess, http: urllib3.PoolManager, tmp_path: Path) -> Stub:
    made = Stub(sandbox_process, http, tmp_path)
    made.dockerfile("WORKDIR /app", "COPY . .", "RUN npm ci", 'CMD ["node", "."]')
    return made


def test_a_deployment_makes_one_machine_and_says_which_image(stub: Stub) -> None:
    done = stub.deploy()
    assert (done.returncode, done.stderr.count("Error")) == (0, 0)
    assert "==> Verifying app config" in done.stderr
    assert "#8 [4/4] RUN npm ci" in done.stderr
    lines = done.stdout.splitlines()
    assert "image: registry.fly.io/crayon-a:build-1" in lines
    assert "No machines in group app, launching a new machine" in lines
    release = json.loads(next(line for line in lines if line.startswith('{"id":')))
    assert (release["version"], release["image_ref"]) == (1, "registry.fly.io/crayon-a:build-1")
    (machine,) = stub.machines
    assert (machine["state"], machine["region"], machine["leased"]) == ("started", "ams", False)
    assert machine["config"]["image"] == "registry.fly.io/crayon-a:build-1"
    assert machine["config"]["metadata"]["fly_process_group"] == "app"
    assert machine["config"]["env"]["CRAYON_COMMIT"] == "abc123"
    assert machine["config"]["guest"] == {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}


def test_a_second_deployment_changes_the_same_machine(stub: Stub) -> None:
    stub.deploy()
    (first,) = stub.machines
    done = stub.deploy("--image", "registry.fly.io/crayon-a:older")
    assert done.returncode == 0
    assert "Searching for image 'registry.fly.io/crayon-a:older' remotely..." in done.stdout
    assert "#1 " not in done.stderr
    (second,) = stub.machines
    assert second["id"] == first["id"]
    assert second["instance_id"] != first["instance_id"]
    assert (second["state"], second["leased"]) == ("started", False)
    assert second["config"]["image"] == "registry.fly.io/crayon-a:older"
    assert second["config"]["metadata"]["fly_release_version"] == "2"


def test_without_ha_false_the_first_deployment_makes_two_machines(stub: Stub) -> None:
    assert stub.deploy("--ha").returncode == 0
    assert len(stub.machines) == 2


def test_machines_that_are_not_flyctls_are_left_alone(stub: Stub) -> None:
    stub.ask("POST", "/v1/apps/crayon-a/machines", {"config": {"image": "dev"}})
    stub.deploy()
    assert sorted(machine["config"]["image"] for machine in stub.machines) == [
        "dev",
        "registry.fly.io/crayon-a:build-1",
    ]


def test_the_machine_waits_for_the_secrets_that_config_yml_names(stub: Stub) -> None:
    version = stub.ask("POST", "/v1/apps/crayon-a/secrets", {"values": {"A": "x"}})["version"]
    config = stub.folder / ".fly" / "config.yml"
    config.parent.mkdir()
    config.write_text(f"app_secrets_minvers:\n  crayon-a: {version}\n")
    assert stub.deploy().returncode == 0
    assert stub.machines[0]["secrets"] == {"A": "x"}


def test_a_command_that_fails_is_shown_as_buildkit_shows_it(stub: Stub) -> None:
    stub.dockerfile("RUN echo hello from the build", "RUN exit 3")
    done = stub.deploy()
    problem = 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "#6 0.101 hello from the build" in lines
    assert f"#7 ERROR: {problem}" in lines
    assert "   3 | >>> RUN exit 3" in lines
    assert lines[-1] == (
        "Error: failed to fetch an image or build from source: error building: failed to solve: " + problem
    )
    assert stub.machines == []


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["COPY nothing ."], '"/nothing": not found'),
        (["FROB x"], "dockerfile parse error on line 2: unknown instruction: FROB"),
        (["RUN cat /etc/passwd"], "exit code: 1"),
        (["RUN cat ../fly.toml"], "exit code: 1"),
    ],
)
def test_what_a_real_build_would_refuse_is_refused(stub: Stub, lines: list[str], error: str) -> None:
    stub.dockerfile(*lines)
    done = stub.deploy()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(error)


@pytest.mark.parametrize(
    ("dockerfile", "printed"),
    [
        ("FROM node\nCOPY package.json yarn.lock* /d/", ["[2/2] COPY package.json yarn.lock* /d/"]),
        ("FROM node\nCOPY nothing-?.json [x]y* /d/", ["[2/2] COPY nothing-?.json [x]y* /d/"]),
        ("FROM alpine\nENV MIX_ENV=prod\nCOPY config/${MIX_ENV}.exs /c/", ["[2/2] COPY config/prod.exs /c/"]),
        ("ARG E=prod\nFROM alpine\nARG E\nCOPY config/$E.exs /c/", ["[2/2] COPY config/prod.exs /c/"]),
        ("FROM\talpine\nRUN\techo hi", ["0.101 hi"]),
        ("\ufeffFROM alpine\r\nRUN echo hi\r\n", ["0.101 hi"]),
        ("FROM alpine\nRUN echo a \\\n\n# why\n  && echo b", ["0.101 a", "0.101 b"]),
        ("FROM alpine\nCOPY <<A <<B /d/\na\nA\nb\nB", ["[2/2] COPY <<A <<B /d/"]),
        ("FROM alpine\nRUN <<EOF\necho one\necho two\nEOF\nRUN echo three", ["0.101 one", "0.101 two", "0.101 three"]),
        (
            "FROM alpine\nADD git@example.com:a/b.git https://example.com/a.tgz /y",
            ["[2/2] ADD git@example.com:a/b.git"],
        ),
        ('FROM alpine\nCOPY ["package.json", "config", "/d/"]', ["[2/2] COPY"]),
        ("# escape=`\nFROM alpine\nRUN echo a `\n  b", ["0.101 a b"]),
        ("FROM node AS base\nENV A=x\nFROM base\nRUN echo $A", ["[stage-1 1/1] RUN echo $A", "0.101 x"]),
        ("FROM node AS unused\nRUN exit 1\nFROM node\nRUN echo fine", ["0.101 fine"]),
        ('FROM node\nRUN ["echo", "a && exit 1"]', ["0.101 a && exit 1"]),
        ("FROM node\nCOPY --chmod=755 --link package.json ./", ["COPY --chmod=755 --link package.json ./"]),
    ],
)
def test_what_a_real_build_would_take_is_taken(stub: Stub, dockerfile: str, printed: list[str]) -> None:
    (stub.context / "package.json").write_text("{}")
    (stub.context / "config").mkdir()
    (stub.context / "config" / "prod.exs").write_text("x")
    (stub.context / "Dockerfile").write_bytes(dockerfile.encode())
    done = stub.deploy()
    assert done.returncode == 0, done.stderr
    assert [text for text in printed if text not in done.stderr] == []


@pytest.mark.parametrize(
    ("ignore", "step", "error"),
    [
        ({".dockerignore": "secret.txt\n"}, "COPY secret.txt ./", '"/secret.txt": not found'),
        ({".dockerignore": "**/*.txt"}, "COPY sub/secret.txt ./", '"/sub/secret.txt": not found'),
        ({".dockerignore": "*\n"}, "COPY sub ./", '"/sub": not found'),
        ({".dockerignore": "*.txt"}, "RUN cat secret.txt", "exit code: 1"),
        ({".dockerignore": "", "Dockerfile.dockerignore": "*.txt"}, "COPY secret.txt ./", '"/secret.txt": not found'),
        ({".dockerignore": "*\n!sub/secret.txt\n"}, "COPY sub ./", ""),
        ({".dockerignore": "*", "Dockerfile.dockerignore": "# none"}, "COPY secret.txt ./", ""),
        ({".dockerignore": "*\n"}, "COPY . ./", ""),
        ({}, "COPY https://example.com/a ./", "source can't be a URL for COPY"),
        ({}, "COPY secret.txt", "COPY requires at least two arguments, but only one was provided"),
        ({}, "COPY --from=elsewhere /nothing ./", ""),
    ],
)
def test_what_is_ignored_is_not_there(stub: Stub, ignore: dict[str, str], step: str, error: str) -> None:
    (stub.context / "sub").mkdir()
    for name in ("secret.txt", "sub/secret.txt"):
        (stub.context / name).write_text("x")
    for name, text in ignore.items():
        (stub.context / name).write_text(text)
    stub.dockerfile(step)
    done = stub.deploy()
    assert done.returncode == bool(error), done.stderr
    assert done.stderr.splitlines()[-1].endswith(error)


def test_without_a_dockerfile_there_is_nothing_to_build(stub: Stub) -> None:
    (stub.context / "Dockerfile").unlink()
    done = stub.deploy()
    assert done.returncode == 1
    assert "app does not have a Dockerfile" in done.stderr


def test_a_build_can_print_a_file_and_a_flood(stub: Stub) -> None:
    (stub.context / ".env").write_text("VITE_A=b\n")
    stub.dockerfile("RUN cat .env && flood 5000")
    done = stub.deploy()
    assert "#6 0.101 VITE_A=b" in done.stderr
    assert done.stderr.count("of a flood") == 5000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_says_what_was_cancelled_and_ends_with_127(stub: Stub, number: int) -> None:
    stub.dockerfile("RUN sleep 30")
    with stub.started("RUN sleep 30") as process:
        process.send_signal(number)
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.read().splitlines()[-1] == "#6 CANCELED"
        assert process.wait() == 127
    assert stub.machines == []


def test_an_interrupted_change_gives_back_its_lease(stub: Stub) -> None:
    stub.sandbox.fly_clock(factor=0.01)
    with stub.started("to have state: started") as process:
        assert stub.machines[0]["leased"] is True
        process.send_signal(signal.SIGINT)
        assert process.wait() == 127
    (machine,) = stub.machines
    assert machine["leased"] is False


def test_silence_is_silent(stub: Stub) -> None:
    stub.dockerfile("RUN silence 1")
    with stub.started("RUN silence 1") as process:
        began = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "#6 DONE 1.0s\n"
        assert time.monotonic() - began > 0.9


def test_an_app_that_is_not_visible_yet_is_waited_for(stub: Stub) -> None:
    stub.sandbox.faults(target="fly", match="GET /v1/apps/crayon-a$", status=404, body={"error": "no"}, times=2)
    assert stub.deploy().returncode == 0


def test_a_connection_that_is_cut_while_a_machine_is_made_is_an_error(stub: Stub) -> None:
    stub.sandbox.faults(target="fly", match="POST /v1/apps/crayon-a/machines$", drop="after")
    done = stub.deploy()
    assert (done.returncode, len(stub.machines)) == (1, 1)
    assert "failed to reach the Machines API" in done.stderr


def test_a_question_that_fails_is_asked_again(stub: Stub) -> None:
    stub.sandbox.faults(target="fly", match="GET /v1/apps/crayon-a/machines$", status=503, times=2)
    assert stub.deploy().returncode == 0


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["--frobnicate"], "Error: unknown flag: --frobnicate"),
        (["-z"], "Error: unknown shorthand flag: 'z' in -z"),
        (["--strategy"], "Error: flag needs an argument: --strategy"),
        (
            ["--ha=perhaps"],
            'Error: invalid argument "perhaps" for "--ha" flag: strconv.ParseBool: parsing "perhaps": invalid syntax',
        ),
        (["-c", "/nowhere/fly.toml"], "Error: failed loading app config from /nowhere/fly.toml: "),
        (["-a", "crayon-b"], "Error: failed to get app: "),
    ],
)
def test_what_is_asked_wrongly_is_refused_on_stderr(stub: Stub, more: list[str], error: str) -> None:
    stub.sandbox.fly_settings(app_lag_seconds=0)
    done = stub.deploy(*more)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(error)
    assert stub.machines == []


def test_without_a_home_it_does_nothing(stub: Stub) -> None:
    del stub.environment["HOME"]
    done = stub.deploy()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: failed determining config directory: $HOME is not defined\n"


def test_an_access_token_wins_over_the_api_token(stub: Stub) -> None:
    stub.environment["FLY_ACCESS_TOKEN"] = stub.environment["FLY_API_TOKEN"]
    stub.environment["FLY_API_TOKEN"] = "not-a-token"
    assert stub.deploy().returncode == 0


def test_without_a_token_it_does_nothing(stub: Stub) -> None:
    del stub.environment["FLY_API_TOKEN"]
    done = stub.deploy()
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no access token available.")


def test_it_tells_its_version_and_knows_no_other_commands(stub: Stub) -> None:
    assert stub.run(str(_FLYCTL), "version").stdout.startswith("flyctl v")
    done = stub.run(str(_FLYCTL), "frob")
    assert (done.returncode, done.stderr) == (1, 'Error: unknown command "frob" for "flyctl"\n')
