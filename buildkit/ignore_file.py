"""Which files of a context an ignore file keeps out.

https://docs.docker.com/build/concepts/context/#dockerignore-files; moby's `patternmatcher`, whose patterns are those of
Go's `filepath.Match`, and `**` for any number of folders.
"""

import posixpath
import re

OWN_NAME, COMMON_NAME = "Dockerfile.dockerignore", ".dockerignore"
# The first of them that is there counts, alone.
NAMES = (OWN_NAME, COMMON_NAME)


class IgnoreFile:
    """The patterns of one ignore file; the last one that fits a path decides."""

    def __init__(self, text: str) -> None:
        """Read the file's text."""
        self._rules = [rule for line in text.removeprefix("\ufeff").splitlines() if (rule := _rule(line))]

    def keeps_out(self, path: str) -> bool:
        """Whether the path, relative to the context, is not sent to the builder."""
        out = False
        parts = path.split("/")
        # A pattern that fits a folder fits what is in it.
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        for pattern, lets_in in self._rules:
            if out is lets_in and any(fits(pattern, each) for each in above):
                out = not lets_in
        return out


def fits(pattern: str, path: str) -> bool:
    """Whether a pattern fits a whole path, in time proportional to the product of their lengths."""
    return _fits(pattern.split("/"), path.split("/"))


def has_wildcards(pattern: str) -> bool:
    """Whether a source of COPY may stand for no file at all."""
    escaped = False
    for letter in pattern:
        if letter in "*?[" and not escaped:
            return True
        escaped = letter == "\\" and not escaped
    return False


def _rule(line: str) -> tuple[str, bool] | None:
    line = "" if line.startswith("#") else line.strip()
    lets_in = line.startswith("!")
    pattern = posixpath.normpath(line[1:].strip() if lets_in else line).lstrip("/") if line.strip("!") else ""
    return (pattern, lets_in) if pattern and pattern != "." else None


def _fits(patterns: list[str], parts: list[str]) -> bool:
    """By rows: after each pattern, the numbers of parts that may have been used up."""
    reached = {0}
    for pattern in patterns:
        if pattern == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and _part_fits(pattern, parts[at])}
        if not reached:
            return False
    return len(parts) in reached


_TOKEN = re.compile(r"\*+|\?|\[(\^?)((?:\\.|[^\]\[\\])+)\]|\\?(.)", re.DOTALL)
_CLASS = re.compile(r"\\?(.)(?:-\\?(.))?", re.DOTALL)


def _part_fits(pattern: str, part: str) -> bool:
    reached = {0}
    for token in _TOKEN.finditer(pattern):
        if token[0].startswith("*"):
            reached = set(range(min(reached), len(part) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(part) and _letter_fits(token, part[at])}
        if not reached:
            return False
    return len(part) in reached


def _letter_fits(token: re.Match[str], letter: str) -> bool:
    if token[0] == "?":
        return True
    if token[2] is None:
        return token[3] == letter
    inside = any(low[1] <= letter <= (low[2] or low[1]) for low in _CLASS.finditer(token[2]))
    return inside is not bool(token[1])
