"""POST /api/deploy/push by those who may not: they get their answer before the archive is sent, and can read it."""

import base64
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from deployments.models import Build, Deployment
from deployments.services import pushes
from tests.conftest import make_person, token_of
from tests.deployments.archive_builder import entry, packed
from tests.deployments.builders import make_build, make_deployment
from tests.fuzz.wire import WireAnswer, read_answer, request
from tests.gunicorn_process import GunicornProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
PATH = "/api/deploy/push"
JSON, GZIP = "application/json", "application/gzip"
MEGABYTE = 1 << 20
ARCHIVE = packed(entry("app.js", b"run()"))
GOOD = base64.b64encode(ARCHIVE).decode()
NO_APP = (404, "You have no app of this name. Prepare it first.")
RUNNING = (409, "A build of this app is running already. Wait until it is over, or cancel it, and try again.")
TWICE = (400, "A name is given more than once in an object of the body.")
OTHER = (
    400,
    "appName: The address names another app than the body. Name it in the body alone, or the same in both.",
)
# Less than the server waits for more of a body.
PATIENCE_SECONDS = 4
Early = Callable[..., WireAnswer]


@pytest.fixture
def early(running_push_server: GunicornProcess, alice: Any, bob: Any, sandbox: Any) -> Early:
    """Announces 50 MB, sends the beginning, and gives what is answered then. alice has `shop`, bob has `his`."""
    sandbox.add_fly_app(make_deployment(alice).fly_app_id)
    make_deployment(bob, "his")

    def ask(begin: bytes, *, person: Any = alice, path: str = PATH, kind: str = JSON, length: str = "") -> WireAnswer:
        announced = length or f"Content-Length: {50 * MEGABYTE}"
        head = request("POST", path, f"Authorization: Bearer {token_of(person)}", f"Content-Type: {kind}", announced)
        with socket.create_connection(("127.0.0.1", running_push_server.port), timeout=PATIENCE_SECONDS) as line:
            line.sendall(head + begin)
            return read_answer(line)

    return ask


def told(answer: WireAnswer) -> tuple[int, str]:
    # What was announced will not be read, so nothing else can come on this connection.
    assert answer.headers["connection"] == "close"
    return answer.status, answer.sentence


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        ('{"appName": "blog"', NO_APP),
        ('{"appName": "blog", "archive": "AAAA', NO_APP),
        ('{"appName": "his", "archive": "AAAA', NO_APP),
        ('{"app\\u004eame": "blog", "archive": "AAAA', NO_APP),
        ('{"x": {"appName": "shop"}, "y": ["appName", "shop"], "appName": "blog", "archive": "AAAA', NO_APP),
        ('{"archive": 7, "appName": "blog"', NO_APP),
        ('{"archive": "", "appName": "blog"', NO_APP),
        ('{"appName": 7, "archive": "AAAA', (400, "appName: Not a valid string.")),
        ('{"appName": null, "archive": "AAAA', (400, "appName: This field may not be null.")),
        ('{"appName": ["shop"], "archive": "AAAA', (400, "appName: Not a valid string.")),
        ('{"appName": {"appName": "shop"}, "archive": "AAAA', (400, "appName: Not a valid string.")),
        ('{"appName": "", "archive": "AAAA', (400, "appName: This field may not be blank.")),
        ('{"appName": "shop", "appName": "his", "x', (400, "appName: This field is given more than once.")),
        ('{"appName": "shop", "app\\u004eame": "shop', (400, "appName: This field is given more than once.")),
        ('{"appName": "shop", "x": {"a": 1, "a": 2}, "archive": "A', TWICE),
        ('{"appName": "shop", nonsense, "archive": "AAAA', (400, "The body is not valid JSON.")),
        ('{"appName": "shop", "commitHash": 7, "archive": "AAAA', (400, "commitHash: Not a valid string.")),
    ],
)  # fmt: skip
def test_it_answers_as_soon_as_it_knows_whose_app_it_would_be(early, begin, expected):
    assert told(early(begin.encode())) == expected
    assert not Build.objects.exists()


def test_it_answers_in_chunks_too(early):
    begin = b'{"appName": "blog", "archive": "AAAA'
    answer = early(b"%x\r\n%s\r\nffff\r\nAAAA" % (len(begin), begin), length="Transfer-Encoding: chunked")
    assert told(answer) == NO_APP


@pytest.mark.parametrize("kind", [JSON, GZIP])
def test_an_app_that_the_query_names_is_looked_at_before_the_first_byte(early, kind):
    assert told(early(b"", path=f"{PATH}?appName=blog", kind=kind)) == NO_APP


@pytest.mark.parametrize(
    ("path", "kind", "begin"),
    [
        (PATH, JSON, b'{"appName": "shop"'),
        (f"{PATH}?appName=shop", JSON, b""),
        (f"{PATH}?appName=shop", GZIP, b""),
    ],
)
def test_while_a_build_runs_no_archive_is_read(early, path, kind, begin):
    make_build(Deployment.objects.get(app_name="shop"), state=Build.State.BUILDING)
    assert told(early(begin, path=path, kind=kind)) == RUNNING


def test_the_query_and_the_body_must_name_the_same_app(early):
    assert told(early(b'{"appName": "his", "archive": "AAAA', path=f"{PATH}?appName=shop")) == OTHER


def test_who_has_no_app_is_not_listened_to_even_when_the_archive_comes_first(early):
    assert told(early(b'{"archive": "AAAA', person=make_person("charlie"))) == NO_APP


def test_who_has_pushed_too_often_is_not_listened_to(early, alice, running_push_server):
    token = token_of(alice)
    for number in range(pushes.PUSHES.number):
        how = {"json": {"appName": "shop", "archive": ""}}
        if number % 2:
            how = {"body": b"", "headers": {"Content-Type": GZIP}}
        answer = running_push_server.request("POST", f"{PATH}?appName=shop", token=token, **how)
        assert (answer.status, answer.json()) == (400, {"error": "archive: The archive is empty."})
    for path, kind in ((PATH, JSON), (f"{PATH}?appName=shop", JSON), (f"{PATH}?appName=shop", GZIP)):
        answer = early(b"", path=path, kind=kind)
        seconds = int(answer.headers["retry-after"])
        assert told(answer) == (429, f"Too many requests. Please try again in {seconds} seconds.")


@pytest.mark.parametrize("kind", [JSON, GZIP])
def test_who_sends_all_of_it_before_listening_reads_the_sentence_too(early, alice, running_push_server, kind):
    body = b'{"appName": "blog", "archive": "' + b"A" * 20 * MEGABYTE + b'"}'
    headers = {"Content-Type": kind}
    path = f"{PATH}?appName=blog" if kind == GZIP else PATH
    answer = running_push_server.request("POST", path, token=token_of(alice), body=body, headers=headers)
    assert (answer.status, answer.json()) == (404, {"error": NO_APP[1]})


def test_a_connection_whose_push_was_read_goes_on(early, alice, running_push_server):
    body = json.dumps({"appName": "shop", "archive": GOOD}).encode()
    head = request("POST", PATH, f"Authorization: Bearer {token_of(alice)}", f"Content-Type: {JSON}", body=body)
    with socket.create_connection(("127.0.0.1", running_push_server.port), timeout=20) as line:
        for _ in range(2):
            line.sendall(head)
            answer = read_answer(line)
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_a_body_that_another_route_does_not_read_ends_the_connection(running_push_server):
    head = request("POST", "/api/auth/cli/session", f"Content-Type: {JSON}", f"Content-Length: {5 * MEGABYTE}")
    with socket.create_connection(("127.0.0.1", running_push_server.port), timeout=PATIENCE_SECONDS) as line:
        line.sendall(head)
        assert told(read_answer(line)) == (413, "The request's body is too large.")
