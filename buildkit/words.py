"""Words of an instruction: how they are told apart, and what variables and quotes in them become.

BuildKit's `frontend/dockerfile/shell/lex.go`; https://docs.docker.com/reference/dockerfile/#environment-replacement.
"""

import re
from collections.abc import Mapping

BACKSLASH = "\\"
_DEEPEST = 20
_LONGEST = 32_768
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_PLAIN = re.compile(r"[^'\"$\\`}]+")
# Blanks, or something of a word: quoted text, an escaped letter, other letters.
_PIECES = {
    BACKSLASH: re.compile(r"""(\s+)|'[^']*'?|"(?:[^"\\]|\\.)*+"?|\\.?|[^\s'"\\]+""", re.DOTALL),
    "`": re.compile(r"""(\s+)|'[^']*'?|"(?:[^"`]|`.)*+"?|`.?|[^\s'"`]+""", re.DOTALL),
}


class BadWord(ValueError):
    """A word that BuildKit refuses, or that nobody writes."""


def split(text: str, *, escape: str = BACKSLASH) -> list[str]:
    """The words of a text with their quotes and escapes: a blank within quotes parts nothing."""
    words: list[list[str]] = [[]]
    for piece in _PIECES[escape].finditer(text):
        if piece[1] is None:
            words[-1].append(piece[0])
        elif words[-1]:
            words.append([])
    return ["".join(word) for word in words if word]


def expand(word: str, variables: Mapping[str, str], *, escape: str = BACKSLASH) -> str:
    """The word with its variables put in and without quotes; what isn't set is empty. Raises BadWord."""
    return _Reader(word, variables, escape).read("", depth=0)


class _Reader:
    """Reads one word from its begin to its end, once."""

    def __init__(self, word: str, variables: Mapping[str, str], escape: str) -> None:
        self._word = word
        self._variables = variables
        self._escape = escape
        self._at = 0
        self._left = _LONGEST

    def read(self, stop: str, *, depth: int) -> str:
        """What comes before the letter `stop`, which is passed over; "" is the end of the word."""
        if depth > _DEEPEST:
            raise BadWord("a word is nested too deeply")
        parts: list[str] = []
        while self._at < len(self._word):
            letter = self._word[self._at]
            if letter == stop:
                self._at += 1
                return "".join(parts)
            part = self._part(letter, within_quotes=stop == '"', depth=depth)
            self._left -= len(part)
            if self._left < 0:
                raise BadWord("a word is too long")
            parts.append(part)
        if stop:
            raise BadWord(f"unexpected end of statement while looking for matching {stop}")
        return "".join(parts)

    def _part(self, letter: str, *, within_quotes: bool, depth: int) -> str:
        if letter == "$":
            return self._variable(depth)
        if letter == self._escape:
            return self._escaped(within_quotes=within_quotes)
        if letter == '"':
            self._at += 1
            return self.read('"', depth=depth + 1)
        if letter == "'" and not within_quotes:
            return self._literal()
        plain = _PLAIN.match(self._word, self._at)
        self._at = plain.end() if plain else self._at + 1
        return plain[0] if plain else letter

    def _literal(self) -> str:
        end = self._word.find("'", self._at + 1)
        if end < 0:
            raise BadWord("unexpected end of statement while looking for matching single-quote")
        begin, self._at = self._at + 1, end + 1
        return self._word[begin:end]

    def _escaped(self, *, within_quotes: bool) -> str:
        letter = self._word[self._at + 1 : self._at + 2]
        self._at += 2
        # Within double quotes only these three lose it.
        kept = within_quotes and letter not in {'"', "$", self._escape}
        return f"{self._escape}{letter}" if kept else letter

    def _variable(self, depth: int) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        if not name:
            raise BadWord("bad substitution")
        return self._braced(name, depth)

    def _braced(self, name: str, depth: int) -> str:
        value = self._variables.get(name)
        if self._peek() == "}":
            self._at += 1
            return value or ""
        if self._peek() == ":":
            self._at += 1
            value = value or None
        operator = self._peek()
        self._at += 1
        if operator not in {"-", "+", "?"} or not operator:
            raise BadWord("unsupported modifier in substitution")
        word = self.read("}", depth=depth + 1)
        if operator == "+":
            return "" if value is None else word
        if operator == "?" and value is None:
            raise BadWord(f"{name}: {word or 'not allowed to be unset'}")
        return word if value is None else value

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _name(self) -> str:
        found = _NAME.match(self._word, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]
