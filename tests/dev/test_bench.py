"""`make bench` starts, and what it measures answers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.dev_process import KEPT_VARIABLES, ROOT

ROUTES = ("check", "credentials, upstream 0", "deploy logs", "mcp-token", "validate-key", "integrations, by")


@pytest.mark.skipif(not shutil.which("wrk"), reason="it needs wrk, which .ci/run installs")
@pytest.mark.timeout(400)
@pytest.mark.slow(20)
def test_it_starts_and_nothing_that_it_asks_fails(state: Path) -> None:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    command = [sys.executable, "-m", "bench", *ROUTES, "--rounds", "0", "--seconds", "1"]
    state.mkdir(mode=0o711)
    environment = kept | {"DEV_STATE": str(state)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((state / "bench" / "results.json").read_text()) == []
