"""What the documents name is there: files, folders, links, modules and what they define."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"node_modules", "__pycache__", "static", "build"}
# What others bring, or what is made when something runs.
ELSEWHERE = {
    ".env", ".dev/", "package.json", "package-lock.json", "AddIndexConcurrently", "SCHED_BATCH", "get_server",
    "gunicorn_h1c", "proxy_set_header", "underscores_in_headers",
    "socialaccount_socialaccount", "test_it_refuses_an_expired_code",
}  # fmt: skip
A_FILE_OR_FOLDER = re.compile(r"[\w.-]+(/[\w.-]+)*(\.(py|html|css|js|mjs|md|toml|yaml|sh|json)|/)")
A_DOTTED_NAME = re.compile(r"\w+(\.\w+)+")
A_NAME = re.compile(r"[A-Za-z]+_\w+|[A-Z][a-z]+[A-Z]\w+|[A-Z]\w+\.\w+")


def files() -> Iterator[str]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in GENERATED and (name[0] != "." or name == ".ci")]
        yield from (str(Path(folder, name).relative_to(ROOT)) for name in names)


FILES = sorted(files())
DOCUMENTS = [name for name in FILES if name.endswith(".md") and name != "CHANGELOG.md"]
PACKAGES = {name.partition("/")[0] for name in FILES if name.endswith("/__init__.py") and name.count("/") == 1}
# By any part of its end: within a sentence `building/lease.py` is enough.
PATHS = {"/".join(name.split("/")[start:]) for name in FILES for start in range(name.count("/") + 1)}
FOLDERS = {str(folder) for path in PATHS for folder in Path(path).parents}
SOURCES = (".py", ".html", ".css", ".js", ".mjs", ".sh", ".toml", ".yaml", ".example", "Makefile", "Dockerfile")
CODE = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in FILES if name.endswith(SOURCES))
TABLES = {f"{app}_{name.lower()}" for app in PACKAGES for name in re.findall(r"^class (\w+)", CODE, re.MULTILINE)}
WORDS = set(re.findall(r"\w+", CODE)) | TABLES


def named(document: str) -> set[str]:
    """Everything that a document writes as code within its sentences."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", text)) - ELSEWHERE


def is_path(name: str) -> bool:
    return bool(A_FILE_OR_FOLDER.fullmatch(name)) or (name.partition("/")[0] in PACKAGES | {"tests"} and "/" in name)


def is_defined(dotted: str) -> bool:
    """Whether `package.module.name` is a module of ours, or something that one of ours has."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        source = next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)
        if source is not None:
            return set(parts[end:]) <= set(re.findall(r"\w+", source.read_text(encoding="utf-8")))
    return False


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_and_folder_that_a_document_names_is_there(document):
    missing = {name for name in named(document) if is_path(name) and name.rstrip("/") not in PATHS | FOLDERS}
    assert sorted(missing) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)", (ROOT / document).read_text(encoding="utf-8"))
    assert sorted(link for link in links if not (ROOT / document).parent.joinpath(link).exists()) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_dotted_name_is_defined(document):
    dotted = {name for name in named(document) - PATHS if A_DOTTED_NAME.fullmatch(name)}
    ours = {name for name in dotted if name.partition(".")[0] in PACKAGES}
    assert sorted(name for name in ours if not is_defined(name)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_other_name_is_known_to_the_code(document):
    names = {name.removesuffix("()") for name in named(document) - PATHS}
    assert sorted(name for name in names if A_NAME.fullmatch(name) and not set(name.split(".")) <= WORDS) == []
