"""What `config/gunicorn_worker/` takes from inside gunicorn, which promises none of it to stay.

When one of these fails, gunicorn has a new version: read what it changed there, let the worker follow, run
`tests/fuzz` and `tests/resilience`, then write the new value here.
"""

import hashlib
import inspect
import tomllib
from pathlib import Path

import pytest
from gunicorn.config import Config
from gunicorn.http import body, message, unreader, wsgi
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker

ROOT = Path(__file__).resolve().parent.parent.parent


def digest(*parts: object) -> str:
    return hashlib.sha256("".join(inspect.getsource(part) for part in parts).encode()).hexdigest()[:16]


def test_only_the_known_line_of_versions_is_taken():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert [line for line in dependencies if line.startswith("gunicorn")] == ["gunicorn>=27,<28"]


@pytest.mark.parametrize(
    ("part", "signature"),
    [
        (ThreadWorker.init_process, "(self)"),
        (ThreadWorker.accept, "(self, listener)"),
        (ThreadWorker.wait_for_and_dispatch_events, "(self, timeout)"),
        (ThreadWorker.enqueue_req, "(self, conn)"),
        (ThreadWorker.handle, "(self, conn)"),
        (ThreadWorker.handle_request, "(self, req, conn)"),
        (ThreadWorker.finish_request, "(self, conn, fs)"),
        (ThreadWorker.murder_pending, "(self)"),
        (Worker.handle_error, "(self, req, client, addr, exc)"),
        (message.Request.__init__, "(self, cfg, unreader, peer_addr, req_number=1)"),
        (unreader.SocketUnreader.chunk, "(self, size_hint=None)"),
        (body.Body.read, "(self, size=None)"),
    ],
    ids=lambda given: getattr(given, "__qualname__", ""),
)
def test_what_is_called_or_replaced_has_its_arguments(part, signature):
    assert str(inspect.signature(part)) == signature


def test_what_is_relied_upon_is_as_it_was_read():
    assert {
        "the loop and its end": digest(
            ThreadWorker.__init__, ThreadWorker.run, ThreadWorker.wait_for_and_dispatch_events, PollableMethodQueue
        ),
        "a request's way through WSGI": digest(ThreadWorker.handle_request, ThreadWorker.enqueue_req),
        "what an answer does with the socket": digest(wsgi.create, wsgi.Response),
        "what was read and what was not": digest(unreader.Unreader, unreader.SocketUnreader),
        "heads and bodies": digest(message.Message, message.Request, body.Body, body.LengthReader, body.ChunkedReader),
    } == {
        "the loop and its end": "9f86a2489392d0a9",
        "a request's way through WSGI": "2699793014c56e3a",
        "what an answer does with the socket": "fb0721b1999a4ddf",
        "what was read and what was not": "34e2bac2299dc862",
        "heads and bodies": "7a8f8562f9ac5697",
    }


def test_files_are_given_to_the_socket_whole():
    assert Config().sendfile is True
    assert "sendfile" not in (ROOT / "config" / "gunicorn.conf.py").read_text(encoding="utf-8")
