"""Verifies dev-UI tokens as a machine does: in Node, with the package `jose` and what the machine was given."""

import fcntl
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from dev.browser import node_path, npm_path

_ROOT = Path(__file__).resolve().parents[2]
_JOSE = "6.2.17"


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
        cwd=_folder_with_jose(),
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@cache
def _folder_with_jose() -> Path:
    """A folder in which Node finds `jose`, installed by the first who asks for this version."""
    folder = Path(os.environ.get("DEV_STATE") or _ROOT / ".dev").absolute() / f"jose-{_JOSE}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(folder)
            (folder / "installed").touch()
    return folder


def _install(folder: Path) -> None:
    wanted = {"name": "verify-token", "private": True, "dependencies": {"jose": _JOSE}}
    (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    npm = npm_path()
    assert npm is not None
    words = [npm, "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"npm could not install jose: {done.stdout}{done.stderr}"
