"""A relay between a client and PostgreSQL that can cut or freeze the connection at a chosen statement.

It reads the client's messages (https://www.postgresql.org/docs/current/protocol-message-formats.html) and counts
those that make the server do something: Query, and the Sync that ends an extended query.
"""

import contextlib
import socket
import struct
import threading
import time
from typing import IO, Literal, Self
from urllib.parse import urlsplit

Fault = Literal["before", "after", "freeze"]


class PostgresRelay:
    """Relays to the server of `url`; `fault` happens at statement number `at` of each connection.

    before: the statement never arrives. after: it is carried out, the answer is lost. freeze: no more answers.
    """

    def __init__(self, url: str, *, at: int = 0, fault: Fault = "before") -> None:
        self._target = urlsplit(url)
        self._at, self._fault = at, fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.statements = 0
        self.faults = 0
        self.sent = bytearray()  # all that clients said after their start-up message

    @property
    def url(self) -> str:
        target, port = self._target, self._listener.getsockname()[1]
        return target._replace(netloc=f"{target.username}:{target.password}@127.0.0.1:{port}").geturl()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._cut(*self._sockets)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection((self._target.hostname or "", self._target.port or 0))
                self._sockets += [client, server]
                stop = threading.Event()
                threading.Thread(target=self._answers, args=(server, client, stop), daemon=True).start()
                threading.Thread(target=self._questions, args=(client, server, stop), daemon=True).start()

    def _answers(self, server: socket.socket, client: socket.socket, stop: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not stop.is_set():
                    client.sendall(data)
            if not stop.is_set():
                self._cut(client)

    def _questions(self, client: socket.socket, server: socket.socket, stop: threading.Event) -> None:
        statements = 0
        reader = client.makefile("rb")
        with contextlib.suppress(OSError, EOFError):
            server.sendall(_message(reader, typed=False))
            while True:
                message = _message(reader, typed=True)
                self.sent += message
                if message[:1] in {b"Q", b"S"}:
                    statements += 1
                    self.statements = max(self.statements, statements)
                    if statements == self._at:
                        self.faults += 1
                        self._strike(message, client, server, stop)
                        return
                server.sendall(message)
        self._cut(server)

    def _strike(self, message: bytes, client: socket.socket, server: socket.socket, stop: threading.Event) -> None:
        stop.set()
        if self._fault == "freeze":
            return
        if self._fault == "after":
            server.sendall(message)
            time.sleep(0.03)  # the server carries it out; its answer goes nowhere
        self._cut(client, server)

    @staticmethod
    def _cut(*sockets: socket.socket) -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _message(reader: IO[bytes], *, typed: bool) -> bytes:
    kind = _exactly(reader, 1) if typed else b""
    length = _exactly(reader, 4)
    return kind + length + _exactly(reader, struct.unpack("!I", length)[0] - 4)


def _exactly(reader: IO[bytes], size: int) -> bytes:
    data = reader.read(size) or b""
    if len(data) < size:
        raise EOFError
    return bytes(data)
