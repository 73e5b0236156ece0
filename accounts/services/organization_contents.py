"""What an organization holds, which keeps it from being deleted. Apps above this one say what of theirs that is."""

from collections.abc import Callable

from accounts.models import Organization

Count = Callable[[Organization], int]
_counts: dict[tuple[str, str], Count] = {}


def contents(one: str, several: str) -> Callable[[Count], Count]:
    """Register what says how many things of a kind an organization holds: `one` is what one is called."""

    def register(count: Count) -> Count:
        _counts[one, several] = count
        return count

    return register


def what_is_in(organization: Organization) -> list[str]:
    """All that it holds, in words: "2 workspaces"; nothing for one that is empty. One query for each kind."""
    found = {names: count(organization) for names, count in _counts.items()}
    return [f"{number} {several if number > 1 else one}" for (one, several), number in found.items() if number]
