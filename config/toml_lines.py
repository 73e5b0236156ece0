"""On which line of a TOML text something stands: tomllib says it of broken texts only, not of wrong values."""

import tomllib
from collections.abc import Iterator, Mapping

# The names of tables and keys, and places in arrays, from the top: ("orgs", 1, "slug").
Place = tuple[str | int, ...]


def lines_of(text: str) -> dict[Place, int]:
    """The line, counted from 1, on which each table, key and array of a valid TOML text begins.

    Each statement is read by tomllib alone: lines are put together until they are one. What a table header means for
    the keys below it (https://toml.io/en/v1.0.0#table) is the only thing that is known of TOML here.
    """
    lines: dict[Place, int] = {}
    tables: dict[Place, int] = {}
    within: Place = ()
    pending, begins_at = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        begins_at = begins_at if pending else number
        pending += line + "\n"
        try:
            found = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue  # an array or a text goes on in the next line
        is_header = pending.lstrip().startswith("[")
        if is_header:
            within = _place_of_header(found, tables)
        places = _prefixes(within) if is_header else (within + inner for inner in _places(found))
        for place in places:
            lines.setdefault(place, begins_at)
        pending = ""
    return lines


def _place_of_header(found: Mapping[str, object], tables: dict[Place, int]) -> Place:
    """Where the keys below a header belong; `tables` counts the elements of arrays of tables until now."""
    place: Place = ()
    value: object = found
    while isinstance(value, Mapping) and value:
        [(name, value)] = value.items()
        place = (*place, name)
        if isinstance(value, list):
            tables[place] = tables.get(place, -1) + 1
        if place in tables:
            place = (*place, tables[place])
    return place


def _prefixes(place: Place) -> Iterator[Place]:
    return (place[:length] for length in range(1, len(place) + 1))


def _places(value: object) -> Iterator[Place]:
    """Each place within a value."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for name, below in inner:
        yield (name,)
        yield from ((name, *place) for place in _places(below))
