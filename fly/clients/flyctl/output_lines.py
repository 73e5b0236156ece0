"""Turns what a program writes into lines fit to be kept: clean, short, without secrets. Pure."""

import re
from collections.abc import Iterable

LONGEST_LINE = 2000
# More than is kept, so that a secret is whole when it is looked for.
_LONGEST_RAW_BYTES = 16_384
_SHORTEST_SECRET = 8
_REDACTED = "[redacted]"
_CUT = "…"

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48, 5.4): colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # strings: titles, links
    r"|\x1b[ -/]*[0-~]"  # two-character sequences
    r"|\x1b"
)
# What is left of control codes, and the marks that reverse or hide text where it is shown.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]")
# A name ends at the first colon and a password at the last @, so that there is one way only to read an address.
_TOKENS = re.compile(
    r"\bfm[12][ar]?_[A-Za-z0-9+/=_,.-]+"
    r"|\bFlyV1\s+[^\s\"']+"
    r"|\bBearer\s+[^\s\"']+"
    r"|(?<=://)[^\s/@:\"']*+:[^\s/\"']+(?=@)",  # name:password@ of an address
    re.IGNORECASE,
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Give the text without Fly's tokens, bearer tokens, passwords in addresses and the given secrets."""
    for secret in secrets:
        text = text.replace(secret, _REDACTED)
    return _TOKENS.sub(_REDACTED, text)


def parts_of_token(token: str) -> list[str]:
    """Give the token and each of the macaroons in it (`FlyV1 fm2_a,fm2_b`), longest first."""
    bare = token.removeprefix("FlyV1 ").strip()
    parts = {token, bare, *(part.strip() for part in bare.split(","))}
    return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


def clean(raw: bytes, secrets: Iterable[str] = ()) -> str:
    """Give the raw line as text without control codes and secrets, shortened to `LONGEST_LINE`.

    Of a longer one only as much is read as a line may have before it is cleaned.
    """
    text = _ESCAPES.sub("", raw[:_LONGEST_RAW_BYTES].decode("utf-8", "replace"))
    text = redacted(_CONTROLS.sub("", text).expandtabs(4).rstrip(), secrets)
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + _CUT


class LineSplitter:
    """Cuts a stream of bytes into clean lines, in memory that doesn't grow.

    A carriage return begins the line anew, as on a terminal: of a progress bar the last state stays.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes and give the lines that are complete now."""
        *complete, last = data.split(b"\n")
        lines = []
        for piece in complete:
            lines.append(self._finished(self._rest + piece))
            self._rest = b""
        self._rest = _bounded(self._rest + last)
        return lines

    def finish(self) -> list[str]:
        """Give what came after the last line break, if anything did."""
        rest, self._rest = self._rest, b""
        return [self._finished(rest)] if rest else []

    def _finished(self, raw: bytes) -> str:
        return clean(_bounded(_last_state(raw)), self._secrets)


def _last_state(raw: bytes) -> bytes:
    states = [state for state in raw.split(b"\r") if state]
    return states[-1] if states else b""


def _bounded(raw: bytes) -> bytes:
    if len(raw) <= _LONGEST_RAW_BYTES:
        return raw
    # A return at the very end may belong to a line break that is still to come.
    ending = b"\r" if raw.endswith(b"\r") else b""
    return _last_state(raw)[: _LONGEST_RAW_BYTES - 1] + ending
