"""The part of `make clean` that needs to know more: databases that lie outside of the state folder."""

from pathlib import Path

from dev.postgres import remove_database


def main(state: Path) -> None:
    """Delete every database that `state` or a folder below it remembers, wherever it lies."""
    for record in sorted(state.rglob("postgres.json")):
        remove_database(record.parent)


if __name__ == "__main__":
    main(Path(".dev"))
