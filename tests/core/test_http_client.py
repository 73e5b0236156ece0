"""Calling out: what is sent, a bounded retry, typed failures, and answers that are too large or none."""

import gzip
import socket
import tracemalloc
from contextlib import contextmanager

import pytest

from core.http_client import Service, ServiceFailed, segment
from tests.core.answering import OK, answering, cut, send

NANGO = {"Authorization": "Bearer 00000000-0000-4000-8000-000000000001"}
PROVIDER = "/providers/github"


@pytest.fixture
def service(sandbox):
    return Service(name="Nango", base_url=sandbox.nango_url, headers=NANGO, budget=2)


@contextmanager
def counted_memory():
    """Gives a function that says how many bytes of Python's memory were in use at most, beyond those before."""
    tracemalloc.start()
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def asked(sandbox):
    return [entry["path"] for entry in sandbox.requests("nango")]


def test_any_status_is_an_answer(service, sandbox):
    assert service.call("GET", PROVIDER).ok
    sandbox.faults(target="nango", match=f"GET {PROVIDER}", status=503)
    answer = service.call("GET", PROVIDER)
    assert (answer.status, answer.ok) == (503, False)


def test_an_answer_is_read_as_json_when_it_says_so(service, sandbox):
    assert service.call("GET", PROVIDER).json()["data"]
    for body, kind in (("{", "application/json"), ('{"a": 1}', "text/html")):
        sandbox.faults(target="nango", match=f"GET {PROVIDER}", status=200, body=body, content_type=kind)
        assert service.call("GET", PROVIDER).json() is None


def test_an_answers_body_and_headers_show_in_no_repr(service):
    answer = service.call("GET", PROVIDER)
    assert repr(answer) == "Response(status=200)"
    assert repr(service) == "<Service Nango>"


def test_a_cut_read_is_tried_once_more(service, sandbox):
    sandbox.faults(target="nango", match=f"GET {PROVIDER}", drop="before")
    sandbox.clear_requests()
    assert service.call("GET", PROVIDER).ok
    assert len(asked(sandbox)) == 2


def test_a_read_cut_twice_fails(service, sandbox):
    sandbox.faults(target="nango", match=f"GET {PROVIDER}", drop="before", times=0)
    sandbox.clear_requests()
    with pytest.raises(ServiceFailed) as caught:
        service.call("GET", PROVIDER)
    assert (caught.value.status, caught.value.sent) == (502, True)
    assert caught.value.sentence == "Nango can't be reached right now. Please try again in a moment."
    assert len(asked(sandbox)) == 2


def test_a_change_is_never_sent_twice_unless_it_may_be():
    with answering(cut, OK) as (url, met):
        with pytest.raises(ServiceFailed):
            Service(name="X", base_url=url, headers={}).call("POST", "/", json={})
        assert len(met) == 1
    with answering(cut, OK) as (url, met):
        assert Service(name="X", base_url=url, headers={}).call("POST", "/", json={}, repeatable=True).ok
        assert len(met) == 2


def test_a_service_that_refuses_connections_was_not_sent_anything():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceFailed) as caught:
        Service(name="X", base_url=f"http://127.0.0.1:{port}", headers={}).call("POST", "/")
    assert caught.value.sent is False


def test_an_endless_body_is_cut_off():
    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        chunk = b"x" * (1 << 20)
        for _ in range(40):
            connection.sendall(chunk)

    with answering(flood) as (url, _), pytest.raises(ServiceFailed):
        Service(name="X", base_url=url, headers={}).call("POST", "/")


def headed(body, *headers):
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers])
    return lambda connection: connection.sendall(head.encode() + b"\r\n\r\n" + body)


def test_a_stranger_may_answer_up_to_the_limit_and_no_more():
    at_limit, above = b"[" + b" " * 62 + b"]", b"[" + b" " * 63 + b"]"
    with answering(headed(at_limit)) as (url, _):
        assert Service(name="X", base_url=url, headers={}, longest_body=64).call("GET", "/").json() == []
    with answering(headed(above)) as (url, _), pytest.raises(ServiceFailed):
        Service(name="X", base_url=url, headers={}, longest_body=64).call("POST", "/")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
def test_what_a_stranger_compresses_stays_so(encoding):
    bomb = gzip.compress(b"[" + b"{}," * (4 << 20) + b"{}]")
    assert len(bomb) < 1 << 16
    with answering(headed(bomb, f"Content-Encoding: {encoding}")) as (url, met), counted_memory() as peak:
        answer = Service(name="X", base_url=url, headers={}, longest_body=1 << 16).call("GET", "/")
        assert (answer.body, answer.json()) == (bomb, None)
    assert b"\r\naccept-encoding: identity\r\n" in met[0].lower()
    assert peak() < 1 << 20


def test_what_our_own_services_compress_is_read():
    with answering(headed(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")) as (url, _):
        assert Service(name="X", base_url=url, headers={}).call("GET", "/").json() == {"a": 1}


def test_where_only_the_status_is_asked_for_no_body_is_read():
    cut_at = []
    chunk = b"x" * (1 << 20)

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for number in range(40):
            cut_at.append(number)
            connection.sendall(chunk)

    with answering(flood) as (url, _), counted_memory() as peak:
        answer = Service(name="X", base_url=url, headers={}, longest_body=0).call("GET", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert cut_at[-1] < 39
    assert peak() < 1 << 20


@pytest.mark.parametrize(
    "nonsense",
    ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", ""],
)
def test_nonsense_is_a_failure(nonsense):
    with answering(send(nonsense)) as (url, _), pytest.raises(ServiceFailed):
        Service(name="X", base_url=url, headers={}).call("POST", "/")


def test_a_redirect_is_not_followed():
    moved = send(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with answering(moved) as (url, met):
        assert Service(name="X", base_url=url, headers={}).call("GET", "/").status == 302
    assert len(met) == 1


def test_nothing_of_a_value_leaves_its_place_in_the_address():
    with answering(OK) as (url, met):
        service = Service(name="X", base_url=f"{url}/base", headers={})
        value = "x?provider_config_key=other#/../\r\nX-Evil: 1"
        service.call("GET", f"/connections/{segment(value)}", query=[("a&b", "c=d&e f"), ("a&b", "+")])
    line = met[0].split(b"\r\n")[0].decode()
    encoded = "x%3Fprovider_config_key%3Dother%23%2F..%2F%0D%0AX-Evil%3A%201"
    assert line == f"GET /base/connections/{encoded}?a%26b=c%3Dd%26e%20f&a%26b=%2B HTTP/1.1"


def test_the_requests_id_goes_along(client, settings):
    with answering(OK) as (url, met):
        Service(name="X", base_url=url, headers={"X-Own": "1"}).call("GET", "/", headers={"X-More": "2"})
    head = met[0].decode().lower()
    for header in ("x-request-id: ", "x-own: 1", "x-more: 2"):
        assert header in head


def test_the_environment_names_no_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(OK) as (url, _):
        assert Service(name="X", base_url=url, headers={}).call("GET", "/").ok


def test_the_setting_names_the_proxy(settings):
    with answering(OK) as (url, met):
        settings.OUTGOING_PROXY_URL = url
        assert Service(name="X", base_url="http://upstream.example", headers={}).call("GET", "/path").ok
    assert met[0].startswith(b"GET http://upstream.example/path HTTP/1.1")
