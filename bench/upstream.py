"""A stand-in for Nango and Fly that costs next to nothing: fixed answers, after a fixed delay.

The sandbox checks and remembers far too much to be the upstream of a measurement. This one parses
the request line, looks the filter up in an index, as Nango's database does, and answers.
"""

import argparse
import asyncio
import json
from urllib.parse import parse_qs, unquote, urlsplit

from bench.fixtures import (
    FEW,
    FLY_ORGANIZATION,
    INTEGRATIONS,
    MACHINES,
    MANY,
    OWN_CONNECTIONS,
    PERSON,
    connection,
    credential,
    fly_names,
    machine_at_fly,
)

_INDEX = {
    (key, PERSON): json.dumps({"connections": [connection(key, number) for number in range(OWN_CONNECTIONS)]}).encode()
    for key in (FEW, MANY)
}
_EVERYBODY = {FEW: 10, MANY: 10_000}
_LIST = json.dumps({"data": INTEGRATIONS}).encode()
_MACHINES = json.dumps({"machines": [machine_at_fly(name) for count in MACHINES for name in fly_names(count)]}).encode()


class Upstream(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.transport: asyncio.Transport | None = None
        self.pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, _, self.pending = self.pending.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            asyncio.get_running_loop().call_later(self.delay, self.answer, target)

    def answer(self, target: str) -> None:
        body = self.body(target)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(head.encode() + body)

    def body(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path == "/integrations":
            return _LIST
        if parts.path == "/connections":
            asked = parse_qs(parts.query)
            key = asked["integrationId"][0]
            person = asked.get("tags[end_user_id]", [""])[0]
            if not person:
                everybody = [connection(key, number) for number in range(_EVERYBODY[key])]
                return json.dumps({"connections": everybody}).encode()
            return _INDEX[key, person]
        if parts.path == f"/v1/orgs/{FLY_ORGANIZATION}/machines":
            return _MACHINES
        if parts.path.endswith("/dev/__health"):
            return b'{"status": "ok"}'
        return json.dumps(credential(unquote(parts.path.rsplit("/", 1)[1]))).encode()


async def serve(port: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(delay), "127.0.0.1", port, backlog=512)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("delay", type=float, help="seconds before each answer")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay))
