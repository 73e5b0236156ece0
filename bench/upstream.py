"""A stand-in for Nango and Fly that costs next to nothing: fixed answers, after a fixed delay.

The sandbox checks and remembers far too much to be the upstream of a measurement. This one parses
the request line, looks the filter up in an index, as Nango's database does, and answers.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, unquote, urlsplit

from bench import fixtures

_CONNECTIONS = {
    (key, person): json.dumps({"connections": [fixtures.connection(key, number) for number in range(count)]}).encode()
    for key, everybody in ((fixtures.FEW, 10), (fixtures.MANY, 10_000))
    for person, count in ((fixtures.PERSON, fixtures.OWN_CONNECTIONS), ("", everybody))
}
_FIXED = {
    "/integrations": json.dumps({"data": fixtures.INTEGRATIONS}).encode(),
    f"/v1/orgs/{fixtures.FLY_ORGANIZATION}/machines": json.dumps(
        {"machines": [fixtures.machine_at_fly(name) for count in fixtures.TOKENS for name in fixtures.fly_names(count)]}
    ).encode(),
}


class Upstream(asyncio.Protocol):
    """One kept-alive connection."""

    transport: asyncio.Transport
    pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, _, self.pending = self.pending.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            asyncio.get_running_loop().call_later(float(sys.argv[2]), self.answer, target)

    def answer(self, target: str) -> None:
        body = answer_to(target)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)


def answer_to(target: str) -> bytes:
    parts = urlsplit(target)
    if parts.path in _FIXED:
        return _FIXED[parts.path]
    if parts.path == "/connections":
        asked = parse_qs(parts.query)
        return _CONNECTIONS[asked["integrationId"][0], asked.get("tags[end_user_id]", [""])[0]]
    if parts.path.endswith("/dev/__health"):
        return b'{"status": "ok"}'
    return json.dumps(fixtures.credential(unquote(parts.path.rsplit("/", 1)[1]))).encode()


async def serve() -> None:
    """`python -m bench.upstream PORT SECONDS`, the latter being the delay of each answer."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", int(sys.argv[1]), backlog=512)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
