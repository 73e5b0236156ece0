"""Checking what is pushed: a turn for each person, and an end to the work."""

import gzip
import io

import pytest

from deployments.services import archive_check
from tests.deployments.archive_builder import entry, packed, raw_header
from tests.stopwatch import Stopwatch


def archive(count: int = 1) -> io.BytesIO:
    return io.BytesIO(packed(*(entry(f"file-{number}", b"x" * 2000) for number in range(count))))


def test_an_archive_that_takes_too_much_computing_is_given_up(monkeypatch):
    monkeypatch.setattr(archive_check, "_CPU_SECONDS", -1.0)
    with pytest.raises(archive_check.TooMuchWork, match="takes too long"):
        archive_check.check(archive(), person="charlie")
    monkeypatch.setattr(archive_check, "_CPU_SECONDS", 20.0)
    archive_check.check(archive(), person="charlie")


def test_computing_is_counted_within_what_a_few_bytes_become(monkeypatch):
    """All of this is read from the file at once where that is done in large pieces: then nobody looks at the clock."""
    bomb = io.BytesIO(gzip.compress(raw_header(b"a") * 25_000, mtime=0))
    monkeypatch.setattr(archive_check, "_CPU_SECONDS", 0.05)
    with pytest.raises(archive_check.TooMuchWork):
        archive_check.check(bomb, person="charlie")
    assert bomb.tell() < len(bomb.getvalue()) < 64 * 1024


def test_a_person_has_one_archive_before_the_check_and_others_have_theirs(monkeypatch):
    monkeypatch.setattr(archive_check, "_PATIENCE_SECONDS", 0.05)
    with archive_check._place("charlie"):
        with Stopwatch() as watch, pytest.raises(archive_check.Busy):
            archive_check.check(archive(), person="charlie")
        assert watch.at_ease < 5
        archive_check.check(archive(), person="alice")
    archive_check.check(archive(), person="charlie")
