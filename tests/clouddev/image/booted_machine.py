"""Boots the cloud dev image's entrypoint for real, below a folder of its own.

Only what would change the system that runs the tests is replaced: useradd and userdel, sshd and its
key maker. Root changes owners and becomes the person for real; anybody else runs all as themselves.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

IMAGE = Path(__file__).resolve().parents[3] / "clouddev" / "image"
PERSON_ID = 2000
IS_ROOT = os.geteuid() == 0
KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43} shop"
OTHER_KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'B' * 43} shop"
SECRET = "not-a-secret-0d1e2f"
# How long something may take that happens within a second, on a machine that has much else to do.
PATIENCE_SECONDS = 60.0
# Starts, says so, and stays, as a dev server does.
STAYS = 'echo $$ > "$HOME/dev.pid"; exec sleep 600'

_COMMANDS = {
    "usr/sbin/sshd": 'root=${0%/usr/sbin/sshd}\nprintf "%s\\n" "$@" > "$root/sshd.arguments"\n'
    'env > "$root/sshd.environment"\necho $$ > "$root/sshd.pid"\nexec sleep 600\n',
    "usr/local/bin/useradd": 'root=${0%/usr/local/bin/useradd}\nprintf "%s\\n" "$@" > "$root/useradd.arguments"\n'
    'for name; do :; done\necho "$name:x:2000:2000::/data/home:/bin/bash" >> "$root/etc/passwd"\n',
    "usr/local/bin/userdel": "root=${0%/usr/local/bin/userdel}\nfor name; do :; done\n"
    'sed -i "/^$name:/d" "$root/etc/passwd"\n',
    # `-y … -f KEY` reads a key, `-f KEY` makes one; both have the file last.
    "usr/local/bin/ssh-keygen": 'for file; do :; done\nif [ "$1" = -y ]; then exec grep -q "^a host key" "$file"; fi\n'
    'umask 077\necho "a host key: $(cat /proc/sys/kernel/random/uuid)" > "$file"\necho "a public half" > "$file.pub"\n',
    "usr/local/bin/npm": 'echo "npm $*" > "$HOME/npm.called"\nexec sleep 600\n',
}
_WITHOUT_ROOT = {
    "usr/local/bin/chown": "exit 0\n",
    "usr/local/bin/setpriv": 'while [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n',
}


class BootedMachine:
    """A machine that can be booted, told to stop, and booted again with the same volume."""

    def __init__(self) -> None:
        # Not pytest's folder: the person has to reach it, and pytest's are the tester's alone.
        self.root = Path(tempfile.mkdtemp(prefix="crayon-image-", dir="/tmp"))
        self.root.chmod(0o755)
        self.data, self.project, self.home = (self.root / path for path in ("data", "data/app", "data/home"))
        self.session = self.root / "run" / "crayon" / "session.env"
        self._log = self.root / "log"
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("data", "etc/ssh", "run", "usr/sbin", "usr/local/bin", "usr/local/share/crayon"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/bash\n")
        shutil.copytree(IMAGE / "starter", self.root / "usr/local/share/crayon/starter")
        for path, body in {**_COMMANDS, **({} if IS_ROOT else _WITHOUT_ROOT)}.items():
            (self.root / path).write_text(f"#!/bin/sh\n{body}")
            (self.root / path).chmod(0o755)

    @staticmethod
    def given(**changes: str | None) -> dict[str, str]:
        """What a machine is given, with changes; None leaves a variable out."""
        variables: dict[str, str | None] = {
            "DEV_USER": "user-0123456789abcdef",
            "SSH_PUBLIC_KEY": KEY,
            "APP_NAME": "shop",
            "CRAYON_SERVER_URL": "https://crayon.example.com",
            "DEV_UI_JWT_PUBLIC_KEY": f"-----BEGIN PUBLIC KEY-----\\n{'A' * 60}\\n-----END PUBLIC KEY-----\\n",
            "DATABASE_URL": f"postgres://shop:{SECRET}@data.example.com/shop",
            "DATABASE_SCHEMA": "crayon_dev_01234567",
            "DEV_COMMAND": STAYS,
            **changes,
        }
        return {name: value for name, value in variables.items() if value is not None}

    def start(self, variables: Mapping[str, str] | None = None) -> Self:
        """Boot, without waiting for anything."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [IMAGE / "entrypoint.sh", "--root", self.root],
                env=self.given() if variables is None else variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def boot(self, **changes: str | None) -> Self:
        """Boot and wait until the dev server runs."""
        (self.home / "dev.pid").unlink(missing_ok=True)
        self.start(self.given(**changes))
        self.wait_for(lambda: self.pid_in("data/home/dev.pid"))
        return self

    def refusal(self, **changes: str | None) -> tuple[int, str]:
        """Boot with what must be refused; gives the status and what was said."""
        process = self.start(self.given(**changes))._process
        assert process is not None
        status = process.wait(timeout=PATIENCE_SECONDS)
        return status, self.log

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the status that the machine ends with."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(timeout=PATIENCE_SECONDS)
        self._process = None
        return status

    def cut_power(self) -> None:
        """End everything at once, as when the host dies."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=PATIENCE_SECONDS)
        self._process = None
        # More than once: what is being started while the others are looked up isn't found with them.
        self.wait_for(lambda: not self._killed())

    def _killed(self) -> list[int]:
        pids = self.processes()
        for pid in pids:
            _kill(pid)
        return pids

    @property
    def log(self) -> str:
        """What the machine wrote."""
        return self._log.read_text(errors="replace")

    def processes(self) -> list[int]:
        """Those that this machine has started, by the folder that all of them know of or work in."""
        mark, found = os.fsencode(self.root), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                known = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                if mark in known or str(folder.joinpath("cwd").readlink()).startswith(str(self.root)):
                    found.append(int(folder.name))
            except OSError:
                continue  # it has ended, or is somebody else's
        return found

    def pid_in(self, path: str) -> int:
        """The process id that a file below the root holds; 0 before it does."""
        try:
            return int((self.root / path).read_text() or 0)
        except FileNotFoundError:
            return 0

    def wait_for(self, happened: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is so; fails with the machine's log when it does not become so."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen; the log: {self.log}"
            time.sleep(0.02)

    def remove(self) -> None:
        """End what still runs and delete the folder."""
        if self._process is not None:
            self.cut_power()
        shutil.rmtree(self.root)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
