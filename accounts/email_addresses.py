"""E-mail addresses as they are compared: by one spelling, in which two people's are never the same."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

LONGEST = 254


def plain(address: str) -> str:
    """The address with A to Z in lower case, and every other letter as it is.

    `str.lower` would make one of some letters: the Kelvin sign becomes a k, and with it its owner somebody else.
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in address.strip())


def is_address(text: str) -> bool:
    """Whether a mail could be sent to this."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= LONGEST


def hinted(address: str) -> str:
    """As much of an address as tells its owner which one is meant: `b…@example.com`."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"
