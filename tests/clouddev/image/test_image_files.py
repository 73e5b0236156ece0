"""What the cloud dev image is made of, as far as it can be told without building it."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clouddev.image.booted_machine import IMAGE

ROOT = IMAGE.parents[1]
DOCKERFILE = (IMAGE / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Each instruction with what follows it, its continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


@pytest.mark.parametrize("script", sorted(path.name for path in IMAGE.glob("*.sh")))
def test_shellcheck_finds_nothing(script: str) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run([shellcheck, "-x", script], cwd=IMAGE, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_the_base_is_nodes_own_with_its_version_and_system_named() -> None:
    assert instructions()[0] == ("ARG", "NODE_IMAGE=node:22-bookworm-slim")
    assert of("FROM") == ["${NODE_IMAGE}"]


def test_nothing_is_called_latest_and_claude_code_has_a_version() -> None:
    assert "latest" not in DOCKERFILE
    assert any(re.fullmatch(r"CLAUDE_CODE_VERSION=\d+\.\d+\.\d+", rest) for rest in of("ARG"))
    installs = re.findall(r"npm install [^&]*", DOCKERFILE)
    assert len(installs) == 1
    assert '"@anthropic-ai/claude-code@${CLAUDE_CODE_VERSION}"' in installs[0]


def test_nothing_is_fetched_from_an_address() -> None:
    assert of("ADD") == []
    assert not re.search(r"https?://|\bcurl .*\||\bwget\b", "\n".join(rest for _, rest in instructions()))


def test_packages_leave_no_lists_and_no_host_keys_behind() -> None:
    steps = [rest for rest in of("RUN") if "apt-get" in rest]
    assert len(steps) == 1, "lists that a later step deletes are still in the image"
    assert "apt-get update" in steps[0]
    assert "--no-install-recommends" in steps[0]
    assert steps[0].index("apt-get install") < steps[0].index("rm -rf")
    removed = steps[0].partition("rm -rf")[2].split()
    assert {"/var/lib/apt/lists/*", "/etc/ssh/ssh_host_*"} <= set(removed)
    assert not {"sudo", "doas"} & set(steps[0].split()), "nobody becomes root"


def test_no_secret_is_baked_in() -> None:
    names = {rest.partition("=")[0] for rest in of("ARG")}
    names |= {entry.partition("=")[0] for rest in of("ENV") for entry in shlex.split(rest)}
    assert names == {
        "NODE_IMAGE",
        "CLAUDE_CODE_VERSION",
        "SCAFFOLD_COMMAND",
        "DEV_COMMAND",
        "APP_COMMAND",
        "DISABLE_AUTOUPDATER",
        "LANG",
    }


def test_everything_that_is_copied_is_there_and_nothing_else_is_sent_to_the_build() -> None:
    copied = {word for rest in of("COPY") for word in shlex.split(rest)[:-1] if not word.startswith("--")}
    assert all((IMAGE / name).exists() for name in copied)
    rules = (IMAGE / ".dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules[1:]} == copied


def test_the_entrypoint_is_below_an_init_and_knows_where_its_parts_are() -> None:
    command = json.loads(of("ENTRYPOINT")[0])
    assert command == ["/usr/bin/tini", "-s", "--", "/usr/local/lib/crayon/entrypoint.sh"]
    places = {shlex.split(rest)[-1] for rest in of("COPY")}
    assert {"/usr/local/lib/crayon/entrypoint.sh", "/usr/local/lib/crayon/processes.sh"} <= places
    assert {"/etc/ssh/sshd_config", "/etc/profile.d/crayon.sh", "/usr/local/share/crayon/starter"} <= places
    assert os.access(IMAGE / "entrypoint.sh", os.X_OK)
    assert (IMAGE / "entrypoint.sh").read_text().startswith("#!/bin/bash -p\n")


def test_the_ports_and_the_persons_number_are_those_the_entrypoint_uses() -> None:
    assert of("EXPOSE") == ["4173 2222"]
    assert any("groupadd --gid 2000 dev" in rest for rest in of("RUN"))
    assert "readonly person_id=2000" in (IMAGE / "entrypoint.sh").read_text()


def test_the_image_of_the_server_holds_none_of_it() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    last = max(index for index, rule in enumerate(rules) if rule in {"!clouddev", "*"})
    assert "clouddev/image" in rules[last:], "the last rule that fits a path decides"


def sshd_settings() -> dict[str, str]:
    lines = (IMAGE / "sshd_config").read_text(encoding="utf-8").splitlines()
    return dict(line.lower().split(" ", 1) for line in lines if line and not line.startswith("#"))


# What a session is refused, in sshd's own words.
_STRICT = {
    "port": "2222",
    "authenticationmethods": "publickey",
    "pubkeyauthentication": "yes",
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "hostbasedauthentication": "no",
    "permitemptypasswords": "no",
    "permitrootlogin": "no",
    "usepam": "no",
    "strictmodes": "yes",
    "permituserenvironment": "no",
    "permituserrc": "no",
    "gatewayports": "no",
    "x11forwarding": "no",
    "permittunnel": "no",
    "authorizedkeysfile": "/etc/ssh/authorized_keys/%u",
}


def test_sshd_takes_a_key_and_nothing_else() -> None:
    settings = sshd_settings()
    assert {name: settings.get(name) for name in _STRICT} == _STRICT
    assert settings["hostkey"] == "/data/ssh/ssh_host_ed25519_key", "on the volume"
    assert "include" not in settings
    assert "match" not in settings


@pytest.mark.needs_sshd
def test_a_real_sshd_reads_its_settings_so(tmp_path: Path) -> None:
    from dev.programs import sshd_path  # noqa: PLC0415 - only where the marker found one

    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd started by root wants to see it, even for this
    command = [str(sshd_path()), "-T", "-f", IMAGE / "sshd_config", "-h", key, "-o", "AllowUsers=user-0123456789abcdef"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    understood = dict(line.split(" ", 1) for line in answer.stdout.splitlines() if " " in line)
    assert {name: understood.get(name) for name in _STRICT} == _STRICT
    assert understood["allowusers"] == "user-0123456789abcdef"


def test_a_session_begins_with_what_the_machine_was_given() -> None:
    script = (IMAGE / "session.sh").read_text(encoding="utf-8")
    session = "/run/crayon/session.env"
    assert f". {session}" in script
    assert "session=$run/session.env" in (IMAGE / "entrypoint.sh").read_text()
    assert any("/etc/bash.bashrc" in rest and ". /etc/profile.d/crayon.sh" in rest for rest in of("RUN"))
