"""Requests sent one behind the other on one connection: each has its own answer, in order, and its own person's."""

import json
import random
import socket

import pytest

from clouddev.models import Machine
from tests.clouddev.builders import make_machine
from tests.conftest import make_person, token_of
from tests.fuzz.wire import chunks, request

pytestmark = pytest.mark.django_db(transaction=True)
LIST, JSON = "/api/cloud-dev/list", "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
# What a body holds that is not read, or not by who it is sent to: it is never a request.
INNER = request("GET", "/_/health")
CONVERSATIONS = 60


@pytest.fixture
def tokens():
    """By the name of a person's only machine, which is in nobody else's list."""
    people = [make_person(login) for login in ("alice", "bob", "charlie")]
    return {make_machine(person, f"app-of-{person.github_login}").app_name: token_of(person) for person in people}


def asked(chance, app_name, token):
    """A request, the status of its answer, and the machine that the answer is to name, if it has a body to do so."""
    own = f"Authorization: Bearer {token}"
    absent = json.dumps({"appName": "x" * chance.randint(1, 60)}).encode()
    inner = INNER * chance.randint(1, 200)
    return chance.choice(
        [
            (request("GET", LIST, own), 200, app_name),
            (request("HEAD", LIST, own), 200, ""),
            (request("GET", LIST), 401, ""),
            (request("GET", LIST, own, body=inner), 200, app_name),
            (request("GET", LIST, own, CHUNKED) + chunks([inner, INNER]), 200, app_name),
            (request("POST", "/api/cloud-dev/start", own, JSON, body=absent), 404, ""),
            (request("POST", "/api/cloud-dev/start", own, JSON, CHUNKED) + chunks([absent[:1], absent[1:]]), 404, ""),
            (request("POST", "/api/cloud-dev/start", own, "Content-Type: text/plain", body=inner), 415, ""),
            (request("POST", "/api/deploy/push", own, JSON, body=b'{"appName": "x"' + inner), 404, ""),
            (request("POST", "/api/deploy/push", own, JSON, CHUNKED) + chunks([b'{"appName": "x"', inner]), 404, ""),
            (request("GET", LIST, own, "Connection: TE, close"), 200, app_name),
        ]
    )


def answered(line, was_head):
    """Status, whether it is the last one, and body; `line` is the connection's file."""
    status = int(line.readline().split()[1])
    headers = {}
    while (read := line.readline()) != b"\r\n":
        name, _, value = read.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = b"" if was_head else line.read(int(headers["content-length"]))
    return status, headers["connection"] == "close", body.decode()


@pytest.mark.parametrize("seed", [1, 2])
def test_each_has_its_own_answer_and_what_a_body_holds_is_no_request(quiet_server, tokens, seed):
    before = len(quiet_server.log)
    chance = random.Random(seed)
    names = set(Machine.objects.values_list("app_name", flat=True))
    last = (request("GET", "/_/health", "Connection: close"), 200, "")
    for _ in range(CONVERSATIONS):
        sent = [asked(chance, *chance.choice(list(tokens.items()))) for _ in range(chance.randint(1, 10))] + [last]
        with (
            socket.create_connection(("127.0.0.1", quiet_server.port), timeout=15) as connection,
            connection.makefile("rb") as line,
        ):
            connection.sendall(b"".join(begin for begin, _, _ in sent))
            for begin, status, app_name in sent:
                got, is_last, body = answered(line, begin.startswith(b"HEAD"))
                assert (got, {name for name in names if name in body}) == (status, {app_name} - {""})
                if is_last:
                    break
            assert is_last
            assert line.read() == b""
    assert "Traceback" not in quiet_server.log[before:]
