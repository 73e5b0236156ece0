"""Orders for flyctl, and tiny programs in its place."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from fly.clients.flyctl import Order

TOKEN = "fm2_not-a-token-only-for-tests"
Program = Callable[[str], None]


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """An order whose folder has a context, and nothing else yet."""
    folder = tmp_path / "job"
    context = folder / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM scratch\n")
    config = folder / "fly.toml"
    config.write_text('app = "crayon-a"\n')
    return Order(app="crayon-a", folder=folder, context=context, config=config, deploy_token=TOKEN, label="build-1")


@pytest.fixture
def program(tmp_path: Path, settings) -> Program:
    """Writes a Python program that is run as flyctl from then on."""

    def write(body: str) -> None:
        path = tmp_path / "fake-flyctl"
        path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{textwrap.dedent(body)}")
        path.chmod(0o700)
        settings.FLYCTL = str(path)

    return write
