"""A server on loopback that answers as it is told to."""

import socket
import threading
from contextlib import contextmanager, suppress


@contextmanager
def answering(*behaviours, wrap=None):
    """A server on loopback that treats each connection as the next of `behaviours` says; `wrap` adds TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    met = []

    def serve():
        for behave in behaviours:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with wrap(connection) if wrap else connection as wrapped:
                    met.append(wrapped.recv(65_536))
                    behave(wrapped)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"{'https' if wrap else 'http'}://127.0.0.1:{listener.getsockname()[1]}", met
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
        listener.close()
        thread.join(timeout=15)


def send(text):
    return lambda connection: connection.sendall(text.encode())


def cut(_connection):
    pass


OK = send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
