"""Pushing 50 MB to our server: how long it takes, and how much memory the server needs for it."""

import base64
import http.client
import io
import json
import os
import tarfile
import threading
import time

from bench.fixtures import APP, TOKENS
from bench.servers import Server

_MEGABYTES = 50
_CREATED = 200


def report(server: Server) -> None:
    """Push both ways, and print time and the growth of the server's memory (PSS of the process tree, sampled)."""
    archive = _archive()
    body = b'{"appName":"%s","archive":"%s"}' % (APP.encode(), base64.b64encode(archive))
    for name, path, content, kind in (
        ("raw", f"/api/deploy/push?appName={APP}", archive, "application/gzip"),
        ("JSON", "/api/deploy/push", body, "application/json"),
    ):
        before = server.memory_megabytes()
        peak, seconds, status = _pushed(server, path, content, kind)
        megabytes = len(archive) / 1e6
        print(
            f"push of {megabytes:.0f} MB as {name}: {status} in {seconds:.2f} s, memory {before:.0f} MB before, "
            f"{peak:.0f} MB at most: +{(peak - before) / megabytes:.2f} times the archive"
        )


def _archive() -> bytes:
    """Incompressible, so that 50 MB are 50 MB."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in (("Dockerfile", b"FROM scratch\n"), ("data", os.urandom(_MEGABYTES * 1_000_000))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _pushed(server: Server, path: str, content: bytes, kind: str) -> tuple[float, float, int]:
    peak, over = [server.memory_megabytes()], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], server.memory_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    started = time.perf_counter()
    connection.request("POST", path, content, {"Authorization": f"Bearer {TOKENS[0]}", "Content-Type": kind})
    answer = connection.getresponse()
    said = answer.read()
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    connection.close()
    if answer.status != _CREATED:
        print(json.loads(said))
    return peak[0], seconds, answer.status
