"""Who gets the next free thread."""

import pytest

from config.gunicorn_worker.request_queue import RequestQueue


def test_by_turns_it_is_who_came_last_and_who_has_waited_longest():
    turns: RequestQueue[int] = RequestQueue()
    for number in range(6):
        turns.add(number)

    assert [turns.take() for _ in range(4)] == [5, 0, 4, 1]
    turns.add(6)
    assert [turns.take() for _ in range(len(turns))] == [6, 2, 3]
    assert not turns


def test_nobody_waits_forever_while_others_go_on_coming():
    turns: RequestQueue[int] = RequestQueue()
    for number in range(10):
        turns.add(number)

    taken = []
    for number in range(10, 32):
        turns.add(number)
        taken.append(turns.take())
    assert set(range(10)) < set(taken)


def test_there_is_none_where_nobody_waits():
    with pytest.raises(IndexError):
        RequestQueue[int]().take()
