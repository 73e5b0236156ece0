"""Texts that make a pattern slow, made from its own structure.

A pattern takes longer than its text is long where a repetition can give back what it took: tried anew from many
places, or shared out between two repetitions in many ways. So every repetition is fed for long with what it takes,
after what must come before it, and then denied what must come after it.
"""

import gc
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from re import _constants as codes
from re import _parser as parser
from typing import Any

LONG = 64_000
_SHORT = 3_000
_SUSPICIOUS_SECONDS = 0.0005
_MIDDLING = 16_000
# What takes the square of its length takes a 64th of this text's time for the last one, which is eight times as long.
_STILL_SUSPICIOUS_SECONDS = 0.005
_MOST_SECONDS = 0.5
_MANY = 50
_LETTERS = "aZ0_ \t\n:/.-=\"'([{<>)]}#@$\\,;~é\x1b\x00"
_ENDINGS = ("", "\x01", "\n!")
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_METHODS: dict[str, Callable[[re.Pattern[Any], Any], object]] = {
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "search": lambda pattern, text: pattern.search(text),
    "sub": lambda pattern, text: pattern.sub("", text) if isinstance(text, str) else pattern.sub(b"", text),
}
ALL_METHODS = frozenset(_METHODS)


class TooSlow(Exception):
    """The processor time is used up."""


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block once it has used so much of the processor; patterns can be interrupted."""

    def stop(_number: int, _frame: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    # What the tests before this one left behind is not the block's; and TooSlow would be lost in a finalizer.
    gc.disable()
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.enable()
        signal.signal(signal.SIGVTALRM, before)


def slow_text(pattern: re.Pattern[Any], methods: frozenset[str] = ALL_METHODS) -> str | None:
    """What the pattern is too slow for, as `method: begin of the text`; None for one whose time is linear."""
    for make in _texts(pattern):
        for name in sorted(methods):
            # The short text is quick to try; what takes suspiciously long there is tried with longer ones.
            if (
                _seconds(pattern, name, make(_SHORT)) > _SUSPICIOUS_SECONDS
                and _seconds(pattern, name, make(_MIDDLING)) > _STILL_SUSPICIOUS_SECONDS
                and _is_slow(pattern, name, make(2 * LONG))
            ):
                return f"{name}: {make(40)[:80]!r}…"
    return None


def _seconds(pattern: re.Pattern[Any], method: str, text: str) -> float:
    began_at = time.process_time()
    try:
        with processor_time(_MOST_SECONDS):
            _METHODS[method](pattern, _fitting(pattern, text))
    except TooSlow:
        return _MOST_SECONDS
    return time.process_time() - began_at


def _is_slow(pattern: re.Pattern[Any], method: str, text: str) -> bool:
    return _seconds(pattern, method, text) >= _MOST_SECONDS


def _fitting(pattern: re.Pattern[Any], text: str) -> str | bytes:
    return text if isinstance(pattern.pattern, str) else text.encode("utf-8", "surrogatepass")


def _texts(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], str]]:
    """Makers of texts of about a given length, the same text once."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags & ~re.DEBUG
    if not isinstance(pattern.pattern, str):
        flags |= re.ASCII
    seen: set[tuple[str, str, str]] = set()
    for before, pump in _pumps(list(parser.parse(source, flags)), flags):
        for ending in _ENDINGS:
            if pump and (before, pump, ending) not in seen:
                seen.add((before, pump, ending))
                yield lambda length, b=before, p=pump, e=ending: b + p * (length // len(p)) + e


def _pumps(tree: list[Any], flags: int) -> Iterator[tuple[str, str]]:
    """What comes first, and what is then repeated."""
    for letter in _LETTERS:
        yield "", letter
    for begin in _begins(tree, flags):
        yield "", begin
        for letter in " a0":
            yield "", begin + letter
    for before, item in _repetitions(tree, flags, ""):
        for taken in _samples(item, flags):
            yield before, taken
            yield "", before + taken
            for letter in " a":
                yield before, taken + letter


def _begins(tree: list[Any], flags: int) -> Iterator[str]:
    """Each beginning of the shortest match, from its first item to the whole."""
    text = ""
    for node in tree:
        text += _sample([node], flags)
        yield text
        operation, argument = node
        if operation is codes.BRANCH:
            yield from (_sample(way, flags) for way in argument[1])


def _repetitions(tree: list[Any], flags: int, before: str) -> Iterator[tuple[str, list[Any]]]:
    """Every repetition without a small bound, with the shortest text that leads to it."""
    for node in tree:
        operation, argument = node
        if operation in _REPEATS:
            if argument[1] > _MANY:
                yield before, list(argument[2])
            yield from _repetitions(list(argument[2]), flags, before)
        elif operation is codes.SUBPATTERN:
            yield from _repetitions(list(argument[3]), flags, before)
        elif operation is codes.ATOMIC_GROUP:
            yield from _repetitions(list(argument), flags, before)
        elif operation in {codes.ASSERT, codes.ASSERT_NOT}:
            yield from _repetitions(list(argument[1]), flags, before)
        elif operation is codes.BRANCH:
            for way in argument[1]:
                yield from _repetitions(list(way), flags, before)
        before += _sample([node], flags)


def _samples(item: list[Any], flags: int) -> Iterator[str]:
    """What a repetition's item may take: its shortest match, and every letter that it takes as well."""
    yield _sample(item, flags)
    if len(item) == 1 and item[0][0] in {codes.IN, codes.ANY, codes.NOT_LITERAL, codes.CATEGORY}:
        yield from (letter for letter in _LETTERS if _takes(item[0], letter, flags))


def _sample(tree: list[Any], flags: int) -> str:
    """The shortest match of a part of a pattern, more or less."""
    return "".join(_sample_of(operation, argument, flags) for operation, argument in tree)


def _sample_of(operation: Any, argument: Any, flags: int) -> str:
    if operation is codes.LITERAL:
        return chr(argument)
    if operation in {codes.IN, codes.ANY, codes.NOT_LITERAL}:
        return next(
            (letter for letter in map(chr, range(33, 0x2070)) if _takes((operation, argument), letter, flags)), ""
        )
    if operation in _REPEATS:
        return _sample(list(argument[2]), flags) * min(max(argument[0], 1), _MANY)
    return _sample(_inner(operation, argument), flags)


def _inner(operation: Any, argument: Any) -> list[Any]:
    """What a group consists of; [] for what takes nothing."""
    if operation is codes.SUBPATTERN:
        return list(argument[3])
    if operation is codes.ATOMIC_GROUP:
        return list(argument)
    if operation is codes.BRANCH:
        return list(argument[1][0])
    return list(argument[1]) if operation is codes.ASSERT and argument[0] < 0 else []


def _takes(node: tuple[Any, Any], letter: str, flags: int) -> bool:
    operation, argument = node
    if operation is codes.ANY:
        return letter != "\n" or bool(flags & re.DOTALL)
    if operation is codes.NOT_LITERAL:
        return ord(letter) != argument
    negated = bool(argument) and argument[0][0] is codes.NEGATE
    return any(_is_in(part, letter) for part in argument) is not negated


def _is_in(part: tuple[Any, Any], letter: str) -> bool:
    operation, argument = part
    if operation is codes.LITERAL:
        return ord(letter) == argument
    if operation is codes.RANGE:
        return argument[0] <= ord(letter) <= argument[1]
    if operation is codes.CATEGORY:
        return re.match(_CATEGORIES[argument], letter) is not None
    return False


_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}
