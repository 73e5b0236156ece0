"""SSH keypairs, as OpenSSH's own programs see them."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from clouddev import ssh_keys
from tests.clouddev.ssh_server import SSHServer, private_file, run

COMMENT = "user-0123456789abcdef@crayon-dev-01234567"


@pytest.fixture(scope="module")
def pair() -> ssh_keys.KeyPair:
    return ssh_keys.generate(COMMENT)


@pytest.fixture
def server(tmp_path: Path, pair: ssh_keys.KeyPair) -> Iterator[SSHServer]:
    with SSHServer(tmp_path, pair.public) as server:
        yield server


def test_the_halves_have_the_forms_that_openssh_writes(pair):
    first, *_, last = pair.private.splitlines()
    assert (first, last) == ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    assert pair.private.endswith("\n"), "ssh refuses a key whose last line is cut off"
    kind, encoded, comment = pair.public.split(" ")
    assert (kind, comment) == ("ssh-ed25519", COMMENT)
    assert len(encoded) == 68


def test_no_two_keys_are_alike(pair):
    other = ssh_keys.generate(COMMENT)
    assert other.private != pair.private
    assert other.public != pair.public


def test_the_public_half_is_found_again_from_the_private_one(pair):
    assert ssh_keys.public_of(pair.private, comment=COMMENT) == pair.public
    assert ssh_keys.public_of(pair.private) == pair.public.removesuffix(f" {COMMENT}")


def test_the_private_half_is_not_shown(pair):
    body = pair.private.splitlines()[1]
    assert body not in repr(pair)
    assert body not in f"{pair} {[pair]}"
    assert pair.public in repr(pair)


@pytest.mark.parametrize("comment", ["two\nlines", "two\rlines", "a\x00b", "a\x1b[2J", "a\u2028b"])
def test_a_comment_cannot_smuggle_a_second_key_in(comment):
    with pytest.raises(ValueError, match="one line"):
        ssh_keys.generate(comment)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"])
def test_what_is_no_key_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="no private key") as caught:
        ssh_keys.public_of(text)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.needs_sshd
@pytest.mark.parametrize(
    ("options", "sentence"), [(["-t", "ecdsa", "-N", ""], "Ed25519"), (["-t", "ed25519", "-N", "word"], "passphrase")]
)
def test_another_kind_of_key_is_refused(tmp_path, options, sentence):
    assert run("ssh-keygen", "-q", *options, "-f", tmp_path / "key").returncode == 0
    with pytest.raises(ValueError, match=sentence):
        ssh_keys.public_of((tmp_path / "key").read_text())


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
    other = private_file(tmp_path / "other", ssh_keys.generate(COMMENT).private)
    answer = server.run(other, "echo inside")
    assert (answer.returncode, answer.stdout) == (255, "")
    assert "Permission denied (publickey)" in answer.stderr
