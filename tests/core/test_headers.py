"""What every answer carries: a request id, and the headers that keep browsers safe."""

import re

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
MACHINE, PAGE = "/api/integrations", "/auth/sign-in"
ADDRESSES = [MACHINE, PAGE, "/_/health", "/nowhere", "/api/nowhere", "/api/auth/github/callback"]


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_answer_has_an_id_of_its_own(client, path):
    ids = {client.get(path)["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", request_id) for request_id in ids)


@pytest.mark.parametrize(("setting", "value"), [("TRUSTED_PROXY_COUNT", 1), ("CLIENT_ADDRESS_HEADER", "Fly-Client-IP")])
@pytest.mark.parametrize("path", [MACHINE, PAGE])
def test_a_proxys_id_is_kept_when_it_looks_like_one(client, path, settings, setting, value):
    setattr(settings, setting, value)
    assert client.get(path, headers={"X-Request-ID": "req-1234.AB_c"})["X-Request-ID"] == "req-1234.AB_c"


@pytest.mark.parametrize("path", [MACHINE, PAGE])
def test_a_strangers_id_is_not_kept_however_it_looks(client, path):
    assert client.get(path, headers={"X-Request-ID": "req-1234.AB_c"})["X-Request-ID"] != "req-1234.AB_c"


@pytest.mark.parametrize(
    "offered", ["short", "x" * 65, "a b c d e f g", "abcdefgh\n", "<script>alert</script>", "ü" * 10]
)
def test_another_id_is_replaced(client, offered, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    assert client.get(MACHINE, headers={"X-Request-ID": offered})["X-Request-ID"] != offered


@pytest.mark.parametrize("path", ADDRESSES)
def test_no_answer_may_be_framed_or_sniffed(client, path):
    answer = client.get(path)
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_pages_may_run_our_own_scripts_only_and_send_forms_to_us_and_github_only(client, settings):
    policy = dict(rule.strip().split(" ", 1) for rule in client.get(PAGE)["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "form-action": f"'self' {settings.GITHUB_ORIGIN}",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


def test_no_page_tells_another_site_where_one_came_from(client):
    # With "no-referrer" browsers would send `Origin: null` along with our own forms.
    assert client.get(PAGE)["Referrer-Policy"] == "same-origin"
    assert client.get(MACHINE)["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", [MACHINE, PAGE, "/_/health"])
def test_a_server_with_https_is_asked_by_https_only_from_then_on(client, settings, path):
    assert not client.get(path).has_header("Strict-Transport-Security")
    settings.SECURE_HSTS_SECONDS = 365 * 24 * 3600
    answer = Client(raise_request_exception=False).get(path, secure=True)
    assert answer["Strict-Transport-Security"] == "max-age=31536000"


def test_machines_get_no_cookie(client):
    for path in (MACHINE, "/api/nowhere", "/_/health"):
        assert not client.get(path).cookies


def test_cookies_are_kept_from_scripts_and_other_sites(client):
    cookies = {**client.get(PAGE).cookies, **client.post("/auth/github").cookies}
    assert set(cookies) == {"session", "csrf"}
    for cookie in cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_no_answer_names_another_origin_that_may_read_it(client):
    for path in ADDRESSES:
        answer = client.get(path, headers={"Origin": "https://evil.example.com"})
        assert "Access-Control-Allow-Origin" not in answer
