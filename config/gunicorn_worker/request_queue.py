"""In which order requests get a thread when more of them come at once than can be served."""

from collections import deque
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


class RequestQueue(Generic[Waiting]):
    """The waiting requests. The next one is, by turns, the newest and the oldest.

    So whoever comes behind hundreds does not wait for all of them, and none of those waits forever.
    """

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._newest_is_next = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: Waiting) -> None:
        """Add a request."""
        self._waiting.append(one)

    def take(self) -> Waiting:
        """The next one, which waits no longer. Raises IndexError."""
        self._newest_is_next = not self._newest_is_next
        return self._waiting.pop() if self._newest_is_next else self._waiting.popleft()
