"""A Dockerfile's text as a list of instructions (BuildKit's `frontend/dockerfile/parser`)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from buildkit import words

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)")
_FLAG = re.compile(r"--\S+(?:\s+|\Z)")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<\s]+)")
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_QUOTES = str.maketrans("", "", "\"'")


class DockerfileError(ValueError):
    """What BuildKit refuses: `line` counts from 1, 0 when it is about the whole."""

    def __init__(self, problem: str, *, line: int = 0) -> None:
        self.line = line
        super().__init__(f"dockerfile parse error on line {line}: {problem}" if line else problem)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """The lines between `<<NAME` and NAME; `expands` unless the name was quoted."""

    name: str
    text: str
    expands: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: the line it begins on, its word in capitals, its flags, and the rest in one line."""

    line: int
    word: str
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = words.BACKSLASH

    @property
    def text(self) -> str:
        """The instruction in one line."""
        return " ".join(part for part in (self.word, *self.flags, self.rest) if part)

    def words(self) -> list[str]:
        """The words of the rest with their quotes."""
        return words.split(self.rest, escape=self.escape)

    def arguments(self) -> list[str]:
        """The words of the rest, or the texts of its JSON form; those still have their variables, these never any."""
        if self.rest.startswith("["):
            try:
                texts = json.loads(self.rest)
            except (ValueError, RecursionError):
                return self.words()
            if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
                return texts
        return self.words()

    def flag(self, name: str) -> str:
        """The value of a flag; "" without it."""
        begin = f"--{name}="
        return next((flag.removeprefix(begin) for flag in self.flags if flag.startswith(begin)), "")


def read(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, those that nobody knows among them. Raises DockerfileError."""
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape_of(lines)
    found: list[Instruction] = []
    number = 0
    while number < len(lines):
        begin = number
        line, number = _joined(lines, begin, escape)
        if line.strip():
            instruction, number = _instruction(line, begin + 1, lines, number, escape)
            found.append(instruction)
    return found


def _escape_of(lines: list[str]) -> str:
    """The letter that a directive at the very top names, else a backslash."""
    escapes: list[str] = []
    for number, line in enumerate(lines, start=1):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            escapes.append(directive[2].strip())
            if escapes[-1] not in {words.BACKSLASH, "`"}:
                raise DockerfileError(f"invalid escape token '{escapes[-1][:20]}' does not match ` or \\", line=number)
            if len(escapes) > 1:
                raise DockerfileError("only one escape parser directive can be used", line=number)
    return escapes[0] if escapes else words.BACKSLASH


def _joined(lines: list[str], number: int, escape: str) -> tuple[str, int]:
    """The line that begins here with those that continue it, and the number of the next; "" for nothing."""
    if _says_nothing(lines[number]):
        return "", number + 1
    piece, goes_on = _continued(lines[number].lstrip(), escape)
    pieces = [piece]
    number += 1
    while goes_on and number < len(lines):
        if not _says_nothing(lines[number]):
            piece, goes_on = _continued(lines[number], escape)
            pieces.append(piece)
        number += 1
    return "".join(pieces), number


def _says_nothing(line: str) -> bool:
    """Whether a line is empty or a comment: both are passed over between the lines of one instruction, too."""
    bare = line.lstrip()
    return not bare or bare.startswith("#")


def _continued(line: str, escape: str) -> tuple[str, bool]:
    bare = line.rstrip(" \t\r")
    if bare.endswith(escape) and not bare.endswith(escape * 2):
        return bare[:-1], True
    return line.rstrip("\r"), False


def _instruction(line: str, begin: int, lines: list[str], number: int, escape: str) -> tuple[Instruction, int]:
    word, *more = line.split(None, 1)
    word, rest = word.upper(), "".join(more).strip()
    flags, at = [], 0
    while flag := _FLAG.match(rest, at):
        flags.append(flag[0].strip())
        at = flag.end()
    rest = rest[at:]
    heredocs: list[Heredoc] = []
    if "<<" in rest and _may_have_heredocs(word, rest):
        for mark in _marks(rest, escape):
            heredoc, number = _heredoc(mark, begin, lines, number)
            heredocs.append(heredoc)
    return Instruction(begin, word, tuple(flags), rest, tuple(heredocs), escape), number


def _may_have_heredocs(word: str, rest: str) -> bool:
    if word == "ONBUILD":
        return rest.split(None, 1)[0].upper() in _WITH_HEREDOCS
    return word in _WITH_HEREDOCS and not rest.startswith("[")


def _marks(rest: str, escape: str) -> Iterator[re.Match[str]]:
    return filter(None, (_HEREDOC.fullmatch(word) for word in words.split(rest, escape=escape)))


def _heredoc(mark: re.Match[str], begin: int, lines: list[str], number: int) -> tuple[Heredoc, int]:
    name = mark[3].translate(_QUOTES)
    body: list[str] = []
    while number < len(lines):
        line = lines[number].rstrip("\r")
        line = line.lstrip("\t") if mark[2] else line
        number += 1
        if line == name:
            return Heredoc(name, "".join(f"{each}\n" for each in body), expands=name == mark[3]), number
        body.append(line)
    raise DockerfileError("unterminated heredoc", line=begin)
