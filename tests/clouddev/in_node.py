"""Verifies dev-UI tokens as a machine does: in Node, with nothing but what the machine was given."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from dev.browser import node_path


def verified(token: str, *, public_key: str, app: str, now: int) -> dict[str, Any]:
    """What the machine `app` makes of it: whether it `isGood`, whether its `kid` is the key's, and its `claims`.

    public_key: PEM on one line, as DEV_UI_JWT_PUBLIC_KEY has it. now: seconds since 1970.
    """
    environment = {"PATH": os.environ["PATH"], "DEV_UI_JWT_PUBLIC_KEY": public_key, "FLY_APP_NAME": app}
    node = node_path()
    assert node is not None
    words = [node, Path(__file__).with_name("verify_token.mjs"), token, str(now)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told
