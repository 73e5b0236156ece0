"""Every setting is documented, and every documented setting exists."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READERS = {"text", "secret", "flag", "integer", "choice", "words", "url", "database"}
# Django's command line reads the first itself; it has one right value and is no setting. The second is handed on to
# programs that the server starts.
NOT_SETTINGS = {"DJANGO_SETTINGS_MODULE", "PATH"}


def readings() -> Iterator[tuple[str, str, ast.expr | None]]:
    """Yield the reader, the name and the default, if any, for every call of config.env."""
    for path in sorted((ROOT / "config").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "env"
                and node.func.attr in READERS
            ):
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}: a setting's name is written out"
                given = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "default")]
                implied = [ast.Constant("")] if node.func.attr == "words" else []
                yield node.func.attr, str(name.value), next(iter([*given, *implied]), None)


SETTINGS = {name for _, name, _ in readings()}
REQUIRED = {name for _, name, default in readings() if default is None}
# As they are written in the environment; a default that is computed is none of them.
DEFAULTS = {
    name: str(default.value).lower() if isinstance(default.value, bool) else str(default.value)
    for _, name, default in readings()
    if isinstance(default, ast.Constant)
}
SECRETS = {name for reader, name, _ in readings() if reader in {"secret", "database"}}
# Read with no default of their own; what takes its place is said in the table.
SAID_IN_WORDS = {"ALLOWED_HOSTS"}
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
ASSIGNMENT = re.compile(r"(#?)([A-Z][A-Z0-9_]*)=")


def test_the_example_has_every_setting_once_and_no_other() -> None:
    names = [found.group(2) for line in EXAMPLE if (found := ASSIGNMENT.match(line))]
    assert sorted(names) == sorted(SETTINGS)


def test_the_example_leaves_only_required_settings_open() -> None:
    open_names = {found.group(2) for line in EXAMPLE if (found := ASSIGNMENT.match(line)) and not found.group(1)}
    assert open_names == REQUIRED


def test_the_example_shows_the_defaults_of_the_code() -> None:
    shown = {found.group(2): line[found.end() :] for line in EXAMPLE if (found := ASSIGNMENT.match(line))}
    # Where the default is nothing, the example may show what a value looks like.
    assert {name: shown[name] for name, value in DEFAULTS.items() if value} == {
        name: value for name, value in DEFAULTS.items() if value
    }


def test_every_setting_of_the_example_has_a_sentence() -> None:
    for above, line in pairwise(EXAMPLE):
        found = ASSIGNMENT.match(line)
        if found:
            assert re.fullmatch(r"# .*[.\])].*", above), f"{found.group(2)} lacks its sentence"


def test_the_example_marks_exactly_the_secrets_as_readable_from_a_file() -> None:
    marked = set()
    sentence = ""
    for line in EXAMPLE:
        found = ASSIGNMENT.match(line)
        if found and sentence.startswith("# (file)"):
            marked.add(found.group(2))
        # A sentence may take several lines; it begins after a line that is no sentence.
        sentence = "" if found or not line.startswith("# ") else (sentence or line)
    assert marked == SECRETS


def test_the_table_has_every_setting_and_no_other() -> None:
    assert table().keys() == SETTINGS


def test_the_table_shows_the_defaults_of_the_code() -> None:
    shown = {name: cell.removesuffix(", file") for name, cell in table().items()}
    assert {name: shown[name] for name in DEFAULTS} == {
        name: f"`{value}`" if value else shown[name] if name in SAID_IN_WORDS else "none"
        for name, value in DEFAULTS.items()
    }
    assert {name for name, cell in shown.items() if cell == "required"} == REQUIRED


def table() -> dict[str, str]:
    """The second column of the table by the first."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`"): row[2].strip() for row in rows}


def test_only_the_readers_touch_the_environment() -> None:
    for folder in ("config", "core", "accounts", "fly", "integrations", "deployments", "clouddev"):
        for path in (ROOT / folder).rglob("*.py"):
            used = set(re.findall(r"os\.(?:environ|getenv)[^\n]*?\"([A-Z_]+)\"", path.read_text(encoding="utf-8")))
            assert used <= NOT_SETTINGS, f"{path} reads {used} past config.env"
