"""One question at a time: those who ask the same while it is under way get its outcome."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from core.http_client import ServiceTimeout

# Longer than a question may take, its budget and the database's part included.
_PATIENCE_SECONDS = 11.0


class Flights:
    """The questions that threads of this process are asking."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[bytes]] = {}

    def share(self, key: Hashable, ask: Callable[[], bytes], *, meanwhile: bytes | None = None) -> bytes:
        """The outcome of `ask`, or of the same question that another thread is at, its failure too.

        Who brings `meanwhile` gets that back instead of waiting for another thread.
        """
        with self._lock:
            flight = self._under_way.get(key)
            leads = flight is None
            if flight is None:
                flight = self._under_way[key] = Future()
        if not leads:
            return _outcome(flight) if meanwhile is None else meanwhile
        try:
            found = ask()
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(found)
        return found

    def _land(self, key: Hashable) -> None:
        # Before the outcome is told: whoever asks from now on asks anew.
        with self._lock:
            del self._under_way[key]


def _outcome(flight: "Future[bytes]") -> bytes:
    try:
        return flight.result(timeout=_PATIENCE_SECONDS)
    except TimeoutError as error:
        raise ServiceTimeout("Nango") from error
