"""`make install` on a machine that lacks something: a sentence that says what."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The Makefile where nothing is installed yet."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "development.txt").write_text("")
    return tmp_path


def install(folder: Path, *, pattern: str, answer: str) -> subprocess.CompletedProcess[str]:
    """Run it with a Python that gives `answer`, a line of shell, to a program that matches the pattern."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in {pattern}) {answer};; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return subprocess.run(
        ["make", "install", f"PYTHON={python}"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_venv_it_names_the_package(folder):
    made = install(folder, pattern="*ensurepip*", answer="exit 1")
    assert made.returncode != 0
    assert "On Debian and Ubuntu: apt install python3-venv" in made.stdout
    assert not (folder / ".venv").exists()
