"""SSH keypairs for machines: Ed25519, in OpenSSH's own formats."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """Both halves of a key.

    private: the text of a file like `~/.ssh/id_ed25519`, without a passphrase; it ends with a newline.
    public: one line without its newline, fit for `authorized_keys`.
    """

    private: str = field(repr=False)
    public: str


def generate(comment: str) -> KeyPair:
    """A new keypair. The comment follows the public half and says to people whose it is.

    Raises ValueError for a comment of more than one line, which could add keys to `authorized_keys`.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
    return KeyPair(private=private, public=public_of(private, comment=comment))


def public_of(private: str, *, comment: str = "") -> str:
    """The public half of a private one that `generate` made, as one line.

    Raises ValueError for anything but an Ed25519 key without a passphrase, and for a comment as `generate` does.
    """
    if not comment.isprintable():
        raise ValueError("The comment of an SSH key is one line of printable characters.")
    try:
        key = load_ssh_private_key(private.encode(), password=None)
    except (ValueError, TypeError):
        # The library's own message may quote what it was given.
        raise ValueError("This is no private key in OpenSSH's format without a passphrase.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("This is no Ed25519 key.")  # noqa: TRY004 - the text is wrong, not its type
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    return f"{line} {comment}".rstrip()
