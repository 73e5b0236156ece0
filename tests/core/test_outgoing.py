"""Calling out: one time budget, a bounded retry, typed failures."""

import gzip
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.test import RequestFactory

from config.core.outgoing import Service, ServiceFailed, ServiceTimeout, segment
from config.core.requests import begin_request, end_request

NANGO = {"Authorization": "Bearer 00000000-0000-4000-8000-000000000001"}
PROVIDER = "/providers/github"


@pytest.fixture
def service(sandbox):
    return Service(name="Nango", base_url=sandbox.nango_url, headers=NANGO, budget=2)


@pytest.fixture
def own_certificate(tmp_path, settings):
    """A certificate for loopback that the server trusts; its `wrap` makes a connection one with TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "own.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    settings.OUTGOING_CA_FILE = str(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return SimpleNamespace(wrap=lambda connection: context.wrap_socket(connection, server_side=True))


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


@contextmanager
def counted_memory():
    """Gives a function that says how many bytes of Python's memory were in use at most, beyond those before."""
    tracemalloc.start()
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def send(text):
    return lambda connection: connection.sendall(text.encode())


def cut(_connection):
    pass


OK = send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


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
    assert repr(answer) == "Answer(status=200)"
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


def test_a_slow_service_is_a_timeout_within_the_budget(sandbox):
    hasty = Service(name="Nango", base_url=sandbox.nango_url, headers=NANGO, budget=0.3)
    sandbox.faults(target="nango", match=f"GET {PROVIDER}", delay=2)
    started = time.monotonic()
    with pytest.raises(ServiceTimeout) as caught:
        hasty.call("GET", PROVIDER)
    assert time.monotonic() - started < 1.5
    assert (caught.value.status, caught.value.sentence) == (
        504,
        "Nango did not answer in time. Please try again in a moment.",
    )


def test_a_slow_connection_is_part_of_the_budget():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # Who comes second has to knock again after a second, when there is room.
        first = socket.create_connection(listener.getsockname())
        makes_room = threading.Timer(0.5, lambda: listener.accept()[0].close())  # noqa: PLW0108 - it accepts then
        makes_room.start()
        service = Service(name="Slow", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers={}, budget=1.6)
        began = time.monotonic()
        with pytest.raises(ServiceTimeout):
            service.call("GET", "/")
        took = time.monotonic() - began
        makes_room.join()
        first.close()
    assert 1.5 < took < 2.4


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\nConnection: close\r\n\r\n"


def dripping(at_once, slowly):
    def drip(connection):
        connection.sendall(at_once)
        for number in range(len(slowly)):
            connection.sendall(slowly[number : number + 1])
            time.sleep(0.1)

    return drip


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", HEAD),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n" * 4),
        (b"HTTP/1.1 200 OK\r\n", b"A:\n" * 12),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2),
        (HEAD, b"x" * 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 6),
    ],
)
@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_service_that_drips_is_a_timeout_within_the_budget(request, kind, at_once, slowly):
    wrap = request.getfixturevalue("own_certificate").wrap if kind == "https" else None
    with answering(dripping(at_once, slowly), wrap=wrap) as (url, _):
        started = time.monotonic()
        with pytest.raises(ServiceTimeout):
            Service(name="X", base_url=url, headers={}, budget=0.4).call("GET", "/")
        assert 0.35 < time.monotonic() - started < 2


def test_a_handshake_that_drips_is_a_timeout_within_the_budget(own_certificate):
    # The head of a record of 255 bytes, which come one by one.
    with answering(dripping(b"\x16\x03\x03\x00\xff", b"\x02" * 30)) as (url, _):
        started = time.monotonic()
        with pytest.raises(ServiceTimeout):
            Service(name="X", base_url=url.replace("http:", "https:"), headers={}, budget=0.4).call("GET", "/")
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_kept_connection_begins_each_call_with_the_whole_budget(request, kind):
    wrap = request.getfixturevalue("own_certificate").wrap if kind == "https" else None

    def twice(connection):
        for _ in range(2):
            time.sleep(0.6)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if not connection.recv(65_536):
                return

    with answering(twice, wrap=wrap) as (url, met):
        service = Service(name="X", base_url=url, headers={}, budget=1)
        assert [service.call("GET", "/").body for _ in range(2)] == [b"ok"] * 2
        service._pool.close()
    assert len(met) == 1


@pytest.fixture
def in_a_request():
    begin_request(RequestFactory().get("/"))
    yield
    end_request()


def after(seconds):
    def behave(connection):
        time.sleep(seconds)
        OK(connection)

    return behave


def test_the_calls_of_one_request_share_a_budget(in_a_request):
    with answering(after(0.6), after(0.6), OK) as (url, met):
        service, again = (Service(name="X", base_url=url, headers={}, budget=1, shares_budget=True) for _ in "12")
        started = time.monotonic()
        assert service.call("GET", "/").ok
        for caller in (again, service):
            with pytest.raises(ServiceTimeout):
                caller.call("GET", "/")
        assert time.monotonic() - started < 1.5
        assert len(met) == 2, "what has no time left is not sent"
        begin_request(RequestFactory().get("/"))
        assert service.call("GET", "/").ok


def test_a_call_outside_of_a_request_has_the_budget_for_itself(in_a_request):
    with answering(*[after(0.6)] * 4) as (url, _):
        alone = Service(name="X", base_url=url, headers={}, budget=1)
        assert [alone.call("GET", "/").status for _ in range(2)] == [200] * 2
        end_request()
        service = Service(name="X", base_url=url, headers={}, budget=1, shares_budget=True)
        assert [service.call("GET", "/").status for _ in range(2)] == [200] * 2


def test_a_connection_for_which_too_little_is_left_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        first = socket.create_connection(listener.getsockname())
        service = Service(name="X", base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers={}, budget=0.3)
        with pytest.raises(ServiceTimeout):
            service.call("GET", "/")
        first.close()


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
