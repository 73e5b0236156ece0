"""SSH keypairs, as OpenSSH's own programs see them."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clouddev import sshkeys
from dev.openssh import sshd_path
from dev.ports import LOOPBACK, free_port

COMMENT = "user-0123456789abcdef@crayon-dev-01234567"
PATIENCE = 15


def run(*words: str | Path, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*words], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def private_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class Server:
    """An sshd of the test's own, on loopback, that lets the current user in by `authorized` alone."""

    def __init__(self, folder: Path, authorized: str) -> None:
        self.folder, self.port = folder, free_port()
        host = sshkeys.generate("host")
        (folder / "known_hosts").write_text(f"[{LOOPBACK}]:{self.port} {host.public}\n")
        (folder / "authorized_keys").write_text(f"{authorized}\n")
        config = {
            "ListenAddress": LOOPBACK,
            "Port": self.port,
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
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=self.log)
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            try:
                with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                    assert connection.recv(8).startswith(b"SSH-2.0")
                    return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def run(self, private: Path, command: str) -> "subprocess.CompletedProcess[str]":
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        address = f"{getpass.getuser()}@{LOOPBACK}"
        return run("ssh", "-F", "none", "-i", private, "-p", str(self.port), *words, address, command)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


@pytest.fixture(scope="module")
def pair() -> sshkeys.KeyPair:
    return sshkeys.generate(COMMENT)


@pytest.fixture
def server(tmp_path: Path, pair: sshkeys.KeyPair) -> Iterator[Server]:
    server = Server(tmp_path, pair.public)
    yield server
    server.stop()


def test_the_halves_have_the_forms_that_openssh_writes(pair):
    first, *_, last = pair.private.splitlines()
    assert (first, last) == ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    assert pair.private.endswith("\n"), "ssh refuses a key whose last line is cut off"
    kind, encoded, comment = pair.public.split(" ")
    assert (kind, comment) == ("ssh-ed25519", COMMENT)
    assert len(encoded) == 68


def test_no_two_keys_are_alike(pair):
    other = sshkeys.generate(COMMENT)
    assert other.private != pair.private
    assert other.public != pair.public


def test_the_public_half_is_found_again_from_the_private_one(pair):
    assert sshkeys.public_of(pair.private, comment=COMMENT) == pair.public
    assert sshkeys.public_of(pair.private) == pair.public.removesuffix(f" {COMMENT}")


def test_the_private_half_is_not_shown(pair):
    body = pair.private.splitlines()[1]
    assert body not in repr(pair)
    assert body not in f"{pair} {[pair]}"
    assert pair.public in repr(pair)


@pytest.mark.parametrize("comment", ["two\nlines", "two\rlines", "a\x00b", "a\x1b[2J", "a\u2028b"])
def test_a_comment_cannot_smuggle_a_second_key_in(comment):
    with pytest.raises(ValueError, match="one line"):
        sshkeys.generate(comment)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"])
def test_what_is_no_key_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="no private key") as caught:
        sshkeys.public_of(text)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.needs_sshd
@pytest.mark.parametrize(
    ("options", "sentence"), [(["-t", "ecdsa", "-N", ""], "Ed25519"), (["-t", "ed25519", "-N", "word"], "passphrase")]
)
def test_another_kind_of_key_is_refused(tmp_path, options, sentence):
    assert run("ssh-keygen", "-q", *options, "-f", tmp_path / "key").returncode == 0
    with pytest.raises(ValueError, match=sentence):
        sshkeys.public_of((tmp_path / "key").read_text())


@pytest.mark.needs_sshd
def test_ssh_keygen_reads_both_halves(tmp_path, pair):
    private = private_file(tmp_path / "key", pair.private)
    (tmp_path / "key.pub").write_text(f"{pair.public}\n")

    derived = run("ssh-keygen", "-y", "-P", "", "-f", private)
    public, told = (run("ssh-keygen", "-l", "-f", path) for path in (tmp_path / "key.pub", private))

    assert (derived.returncode, derived.stdout.split()[:2]) == (0, pair.public.split()[:2]), derived.stderr
    size, fingerprint, *rest = public.stdout.split()
    assert (size, rest) == ("256", [COMMENT, "(ED25519)"])
    assert fingerprint.startswith("SHA256:")
    assert fingerprint in told.stdout


@pytest.mark.needs_sshd
def test_a_real_ssh_server_lets_its_holder_in(tmp_path, pair, server):
    mine = private_file(tmp_path / "mine", pair.private)
    answer = server.run(mine, "echo crayon-$((40 + 2)) && id -un")
    assert (answer.returncode, answer.stdout.split()) == (0, ["crayon-42", getpass.getuser()]), answer.stderr


@pytest.mark.needs_sshd
def test_a_real_ssh_server_keeps_others_out(tmp_path, server):
    other = private_file(tmp_path / "other", sshkeys.generate(COMMENT).private)
    answer = server.run(other, "echo inside")
    assert (answer.returncode, answer.stdout) == (255, "")
    assert "Permission denied (publickey)" in answer.stderr
