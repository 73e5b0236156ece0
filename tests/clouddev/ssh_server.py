"""An OpenSSH server on loopback, and what logs in there: the machine's own `ssh`."""

import getpass
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from clouddev import ssh_keys
from dev.ports import LOOPBACK, free_port
from dev.programs import sshd_path

PATIENCE = 15


def run(*words: str | Path, given: str = "") -> "subprocess.CompletedProcess[str]":
    """A program's end, whatever its status."""
    return subprocess.run([*words], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def private_file(path: Path, text: str) -> Path:
    """A file that nobody else may read, as ssh asks for."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class SSHServer:
    """An sshd of the test's own, on loopback, that lets the current user in by `authorized` alone."""

    def __init__(self, folder: Path, authorized: str) -> None:
        self._folder, self._port = folder, free_port()
        host = ssh_keys.generate("host")
        (folder / "known_hosts").write_text(f"[{LOOPBACK}]:{self._port} {host.public}\n")
        (folder / "authorized_keys").write_text(f"{authorized}\n")
        config = {
            "ListenAddress": LOOPBACK,
            "Port": self._port,
            "HostKey": private_file(folder / "host", host.private),
            "AuthorizedKeysFile": folder / "authorized_keys",
            "PidFile": "none",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            # The folders above are open to all, as those for temporary files are.
            "StrictModes": "no",
        }
        (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
        sshd = sshd_path()
        assert sshd is not None
        if os.geteuid() == 0:
            # What the service's own start makes, and no service was started.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=self._log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            try:
                with socket.create_connection((LOOPBACK, self._port), timeout=1) as connection:
                    assert connection.recv(8).startswith(b"SSH-2.0")
                    return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def run(self, private: Path, command: str) -> "subprocess.CompletedProcess[str]":
        """What the command said to somebody who comes with the key of that file and nothing else."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self._folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        address = f"{getpass.getuser()}@{LOOPBACK}"
        return run("ssh", "-F", "none", "-i", private, "-p", str(self._port), *words, address, command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._log.close()
