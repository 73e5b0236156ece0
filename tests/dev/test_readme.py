"""The walk through the README can be pasted as it is."""

import json
import re
import subprocess
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
WALK = README.partition("## A walk through it")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)\n```$", WALK, re.MULTILINE | re.DOTALL)
COMMANDS = [text for kind, text in BLOCKS if kind == "sh"]


def test_commands_and_answers_stand_apart() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "json"}
    assert len(COMMANDS) > 10
    assert [text for text in COMMANDS if re.search(r"^\$ |^\{|…", text, re.MULTILINE)] == []


def test_no_command_names_what_is_different_each_time() -> None:
    assert re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}|=[0-9a-f]{8}\b|gho_|nango_connect_session_", "\n".join(COMMANDS)) == []


def test_every_variable_is_set_before_it_is_used() -> None:
    known: set[str] = set()
    for text in COMMANDS:
        for line in text.splitlines():
            assert set(re.findall(r"\$([A-Z]+)", line)) <= known | set(re.findall(r"\b([A-Z]+)=\$\(", line)), line
            known |= set(re.findall(r"\b([A-Z]+)=", line))


def test_a_shell_reads_the_commands() -> None:
    script = "\n".join(COMMANDS)
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""


def test_the_field_picker_picks_a_field() -> None:
    for answer, name, expected in (
        ({"data": {"code": "0a1b2c3d"}}, "code", "0a1b2c3d"),
        ({"data": [{"connection_id": "old"}, {"connection_id": "new"}]}, "connection_id", "new"),
    ):
        script = f"{COMMANDS[0]}\nfield {name}"
        picked = subprocess.run(
            ["bash", "-c", script], input=json.dumps(answer), text=True, capture_output=True, check=True
        )
        assert picked.stdout.strip() == expected
