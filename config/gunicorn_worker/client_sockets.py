"""Sockets whose writers never wait for the client: what it does not take at once is kept for gunicorn's main loop."""

import os
import socket
import struct
from collections import deque
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

# Bytes of an answer that are kept in memory (the rest goes to a file without a name); that are sent in one turn; and
# that the kernel may hold for a client before they are on their way, of which it would take megabytes.
_IN_MEMORY, _TURN, _IN_THE_KERNEL = 256 << 10, 256 << 10, 128 << 10


@dataclass(slots=True)
class _Stretch:
    """A part of a file that is still to be sent."""

    file: IO[bytes]
    at: int
    left: int


class ClientSocket(socket.socket):
    """A client's connection. `unsent` is what it still has to take, `kept` how many bytes that were in all."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.setblocking(False)
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _IN_THE_KERNEL)
        self.unsent: deque[memoryview | _Stretch] = deque()
        self.kept = 0
        self._spool: IO[bytes] | None = None

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send what the client takes at once, and keep the rest."""
        left = memoryview(data)
        if not self.unsent:
            left = left[self._taken(left, flags) :]
        if not left:
            return
        if self.kept + len(left) <= _IN_MEMORY:
            # A copy, or the little that is missing would keep all of an answer in memory.
            self.unsent.append(memoryview(bytes(left)))
        else:
            self._put_aside(left)
        self.kept += len(left)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Let the file be sent by the main loop. It may be closed or moved to another place meanwhile."""
        count = os.fstat(file.fileno()).st_size - offset if count is None else count
        self.unsent.append(_Stretch(os.fdopen(os.dup(file.fileno()), "rb", buffering=0), offset, count))
        self.kept += count
        self.send_more()
        return count

    def send_more(self) -> bool:
        """Send of what is unsent as much as the client takes now, and no more than a turn; whether that was all."""
        turn = _TURN
        while self.unsent and turn > 0:
            first = self.unsent[0]
            if isinstance(first, memoryview):
                sent = self._taken(first)
                left = len(first) - sent
                self.unsent[0] = first[sent:]
            else:
                sent = self._taken_of(first)
                left = first.left
            if not left:
                self._drop(self.unsent.popleft())
            if not sent:
                break
            turn -= sent
        if self.unsent:
            return False
        self.forget_unsent()
        return True

    def forget_unsent(self) -> None:
        """Drop what is unsent."""
        while self.unsent:
            self._drop(self.unsent.popleft())
        if self._spool:
            self._spool.close()
        self.kept, self._spool = 0, None

    def close(self) -> None:
        """Close it, and what was kept for it."""
        self.forget_unsent()
        super().close()

    def cut_off(self) -> None:
        """Let the kernel forget at once, when it is closed, what it still holds for the client."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _taken(self, data: memoryview, flags: int = 0) -> int:
        try:
            return self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _taken_of(self, stretch: _Stretch) -> int:
        try:
            sent = os.sendfile(self.fileno(), stretch.file.fileno(), stretch.at, min(stretch.left, _TURN))
        except BlockingIOError:
            return 0
        if not sent and stretch.left:
            raise BrokenPipeError("the file ended before the answer")
        stretch.at += sent
        stretch.left -= sent
        return sent

    def _put_aside(self, data: memoryview) -> None:
        self._spool = self._spool or TemporaryFile(prefix="crayon-answer-", buffering=0)  # noqa: SIM115 - until all is sent
        at = os.fstat(self._spool.fileno()).st_size
        written = 0
        while written < len(data):
            written += os.pwrite(self._spool.fileno(), data[written:], at + written)
        last = self.unsent[-1] if self.unsent else None
        if isinstance(last, _Stretch) and last.file is self._spool:
            last.left += len(data)
        else:
            self.unsent.append(_Stretch(self._spool, at, len(data)))

    def _drop(self, piece: memoryview | _Stretch) -> None:
        if isinstance(piece, _Stretch) and piece.file is not self._spool:
            piece.file.close()
