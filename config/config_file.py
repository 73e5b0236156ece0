"""CONFIG_FILE: organizations, whose tokens and keys are trusted, and what the HTTP surface accepts, as one TOML file.

Its sections are those of services that trust a Better Auth application, so that their file works here. What isn't
known, or can't be meant, stops the start with the line and what is allowed (docs/configuration-file.md).
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.config_sections import ConfigFile, Section
from config.toml_lines import Place, lines_of

_LARGEST_BYTES = 1 << 20
_MOST_PROBLEMS = 10
_KINDS = {
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list in square brackets",
    "tuple_type": "must be a list in square brackets",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def read(path: str) -> ConfigFile:
    """What the file says; without a path, what an empty one says.

    Raises ImproperlyConfigured with every problem of the file (ten at most), each with its line.
    """
    return parse(_contents(path), name=path) if path else ConfigFile()


def lines(path: str) -> dict[str, int]:
    """The line of each section and key of the file, for what is told later: {"auth.better_auth_jwt.issuer": 12}."""
    return {_shown(place): line for place, line in lines_of(_contents(path)).items()} if path else {}


def parse(text: str, *, name: str) -> ConfigFile:
    """The same of a text; `name` is what messages call the file."""
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ImproperlyConfigured(f"CONFIG_FILE {name} is not valid TOML: {error}.") from None
    try:
        config = ConfigFile.model_validate(found)
        problems = [(place, f"{_shown(place)} {sentence}.") for place, sentence in config.contradictions()]
    except ValidationError as error:
        problems = [(problem["loc"], _sentence(problem)) for problem in error.errors(include_url=False)]
    if not problems:
        return config
    lines = lines_of(text)
    # Not chained to what was raised: that holds the file's values, and the database's password may be one of them.
    told = [f"line {_line(place, lines)}: {sentence}" for place, sentence in problems[:_MOST_PROBLEMS]]
    raise ImproperlyConfigured(f"CONFIG_FILE {name}, " + "\n".join(told))


def _contents(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"CONFIG_FILE names a file that can't be read: {error}") from None
    if len(raw) > _LARGEST_BYTES:
        raise ImproperlyConfigured(f"CONFIG_FILE {path} is larger than {_LARGEST_BYTES} bytes.")
    # tomllib takes both ends of lines; so that lines are counted alike, there is one.
    return text.replace("\r\n", "\n")


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    """The line of what stands at `place`, or of what it should stand in."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _sentence(problem: ErrorDetails) -> str:
    """What is wrong at a place, and what is allowed there."""
    *within, name = problem["loc"] or ("the file",)
    place, section = _shown((*within, name)), _section(within)
    if problem["type"] == "extra_forbidden":
        return f"{place} is not known. {_shown_section(within)} may have {', '.join(section.model_fields)}."
    if problem["type"] == "missing":
        return f"{_shown_section(within)} lacks {name}."
    if problem["type"] == "value_error":
        return f"{place} {problem['ctx']['error']}."
    if problem["type"] == "literal_error":
        return f"{place} must be one of {problem['ctx']['expected']}."
    return f"{place} {_KINDS.get(problem['type']) or _bounds(problem)}."


def _bounds(problem: ErrorDetails) -> str:
    limit = problem.get("ctx", {})
    if "ge" in limit:
        return f"must be at least {limit['ge']}"
    if "le" in limit:
        return f"must be at most {limit['le']}"
    if "max_length" in limit:
        return f"must have no more than {limit['max_length']} characters"
    return f"can't be meant: {problem['msg']}"


def _section(within: list[str | int]) -> type[Section]:
    """The description of the table at a place."""
    found: type[Section] = ConfigFile
    for name in within:
        if isinstance(name, str):
            found = found.inner(name)
    return found


def _shown_section(within: list[str | int]) -> str:
    if not within:
        return "The file"
    if isinstance(within[-1], int):
        return f"[[{_shown(within[:-1])}]]"
    return f"[{_shown(within)}]"


def _shown(place: Place | list[str | int]) -> str:
    """A place as in the file: `auth.better_auth.timeout_secs`, and `orgs[2].slug` for the second."""
    words = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(letter if letter.isprintable() else "?" for letter in words.removeprefix("."))[:120]
