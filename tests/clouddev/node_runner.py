"""Verifies dev-UI tokens as a machine does: in Node, with the package `jose` and what the machine was given."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from dev.programs import node_packages, node_path


def verified(token: str, *, public_key: str, app: str, now: int) -> dict[str, Any]:
    """What the machine `app` makes of it: whether it `isGood`, whether its `kid` is the key's, and its `claims`.

    public_key: PEM on one line, as DEV_UI_JWT_PUBLIC_KEY has it. now: seconds since 1970.
    """
    environment = {"PATH": os.environ["PATH"], "DEV_UI_JWT_PUBLIC_KEY": public_key, "FLY_APP_NAME": app}
    node = node_path()
    assert node is not None
    done = subprocess.run(
        # Read from standard input, it finds packages where it runs.
        [node, "--input-type=module", "-", token, str(now)],
        input=Path(__file__).with_name("verify_token.mjs").read_text(encoding="utf-8"),
        cwd=node_packages(),
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
