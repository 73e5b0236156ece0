"""Bodies that are no JSON object, or not the one that a route asks for."""

import json
from typing import Any

import pytest

from integrations.models import Connection
from tests.fuzz.asking import WITH_BODY, sentence_of

pytestmark = pytest.mark.django_db

NO_JSON = {
    "half an object": b"{",
    "words": b"nope",
    "a NUL": b"\x00",
    "a NUL in a string": b'{"integration_id": "a\x00b"}',
    "not a number": b'{"integration_id": NaN}',
    "malformed UTF-8": b'{"integration_id": "\xff\xfe"}',
    "a surrogate as UTF-8": b'{"integration_id": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"integration_id": "\\ud800"}',
    "UTF-16": '{"integration_id": "acme"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "two objects": b"{} {}",
    "a comment": b'{"integration_id": "acme"} // x',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and whole": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "a number of 400 000 digits": b'{"a": ' + b"9" * 400_000 + b"}",
}
NO_OBJECT = {"a list": b"[]", "text": b'"x"', "a number": b"1e999", "null": b"null", "true": b"true"}
OTHER_TYPES = (
    "text/plain",
    "text/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json-patch+json",
    "application/json, text/plain",
    "\xff",
    "x" * 5000,
)
WRONG: tuple[Any, ...] = (None, 7, -1.5, 10**18, 1e308, True, ["x"], [[]], "a\x00b", "x" * 900_000)


@pytest.fixture
def post(alice_api, sandbox):
    """Sends bytes as alice and sees that nothing comes of it."""

    def send(path, body, content_type="application/json"):
        answer = alice_api.request("POST", path, data=body, content_type=content_type)
        assert not Connection.objects.exists()
        assert [entry["path"] for entry in sandbox.requests("nango")] == []
        return answer

    return send


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_not_json_is_refused(post, path, body):
    assert sentence_of(post(path, body), 400) == "The body is not valid JSON."


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_what_is_no_object_is_refused(post, path, body):
    assert sentence_of(post(path, body), 400) in {
        "The body must be a JSON object.",
        # A number too large for JSON's readers is no JSON.
        "The body is not valid JSON.",
    }


@pytest.mark.parametrize("path", [*WITH_BODY, "/api/auth/logout"])
@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"a": 1, "a": 1}', "a: This field is given more than once."),
        (b'{"integration_id": "acme", "connection_id": "x", "integration_id": "slack"}', "integration_id: "),
        (b'{"a": 1, "\\u0061": 2}', "a: "),
        (b'{"x": [{"b": {}, "c": ":", "b": []}]}', "b: "),
        (b'{"": 1, "": 2}', ": "),
        (b'{"\\\\": 1, "\\"\\\\\\":": 2, "\\\\": 3}', "\\: "),
        (b'{"a\\nb": 1, "a\\nb": 2}', "a?b: "),
        (b'{"' + b"x" * 100_000 + b'": 1, "' + b"x" * 100_000 + b'": 2}', "x" * 60 + ": "),
        (b'{"x": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b', "x": 1}', ""),
    ],
    ids=lambda part: None if isinstance(part, str) else part[:30],
)
def test_a_name_that_is_given_twice_is_refused(post, path, body, named):
    sentence = sentence_of(post(path, body), 400)
    assert sentence.startswith(named)
    assert "given more than once" in sentence


@pytest.mark.parametrize(
    "config",
    [
        {"a": {"a": {"a": 1}}},
        {"a": [{"a": 1}, {"a": 2}]},
        {"a": ':":\\":', "b:": "https://x:1/", '"': '\\"\\\\":', "\\": "\\\\"},
        {"": "", ":": ":", "\u2028": "\u00e9:"},
    ],
)
def test_a_name_in_different_objects_and_any_text_are_fine(alice_api, sandbox, config):
    body = {**WITH_BODY["/api/connections/create"], "connection_config": config}
    for ascii_only in (True, False):
        raw = json.dumps(body, ensure_ascii=ascii_only, indent=1).encode()
        answer = alice_api.request("POST", "/api/connections/create", data=raw, content_type="application/json")
        assert (answer.status_code, answer.json()) == (200, {"data": {"connection_id": "mine"}})


@pytest.mark.parametrize("path", sorted(set(WITH_BODY) - {"/api/auth/cli/session"}))
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_names_the_first_field_that_is_missing(post, path, body):
    assert sentence_of(post(path, body), 400) == "integration_id: This field is required."


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("content_type", OTHER_TYPES)
def test_another_type_than_json_is_refused(post, path, content_type):
    answer = post(path, json.dumps(WITH_BODY[path]).encode(), content_type)
    assert sentence_of(answer, 415) == "Send the body as JSON, with `Content-Type: application/json`."


@pytest.mark.parametrize("path", [*WITH_BODY, "/webhooks/nango"])
def test_a_body_of_more_than_a_megabyte_is_refused(post, path):
    body = json.dumps({**WITH_BODY.get(path, {}), "padding": "x" * (1 << 20)}).encode()
    assert sentence_of(post(path, body), 413) == "The request's body is too large."


def fields_of(body: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Each field of a body, and each of its parts."""
    found = []
    for name, value in body.items():
        found.append((*path, name))
        if isinstance(value, dict) and name != "connection_config":
            found.extend(fields_of(value, (*path, name)))
    return found


def with_field(body: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    name, *rest = path
    return {**body, name: with_field(body[name], tuple(rest), value) if rest else value}


@pytest.mark.parametrize(
    ("path", "field"),
    [(path, field) for path, body in WITH_BODY.items() for field in fields_of(body)],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else part,
)
def test_a_field_of_the_wrong_kind_is_refused_and_named(post, path, field):
    for value in WRONG:
        body = with_field(WITH_BODY[path], field, value)
        sentence = sentence_of(post(path, json.dumps(body).encode()), 400)
        assert sentence.startswith(f"{'.'.join(field)}: "), (value, sentence)
        assert "x" * 50 not in sentence


@pytest.mark.parametrize("depth", [200, 250, 252, 253, 254, 255, 260, 900])
def test_a_configuration_is_taken_or_refused_however_deep_it_is(alice_api, sandbox, depth):
    config: object = 1
    for _ in range(depth):
        config = {"a": config}
    body = {**WITH_BODY["/api/connections/create"], "connection_config": config}
    answer = alice_api.request(
        "POST", "/api/connections/create", data=json.dumps(body).encode(), content_type="application/json"
    )
    if answer.status_code != 200:
        assert sentence_of(answer, 400) == "connection_config: This is nested too deeply."
    assert answer.status_code == (200 if depth <= 250 else 400)


def test_a_configuration_with_a_nul_deep_inside_is_refused(post):
    body = {**WITH_BODY["/api/connections/create"], "connection_config": {"a": [{"b\x00": 1}]}}
    answer = post("/api/connections/create", json.dumps(body).encode())
    assert sentence_of(answer, 400) == "connection_config: Null characters are not allowed."


@pytest.mark.parametrize("credentials", [{}, {"username": "a"}, {"password": "a"}, {"apiKey": "a", "username": "b"}])
def test_credentials_of_no_kind_or_of_two_are_refused(post, credentials):
    body = {**WITH_BODY["/api/connections/create"], "credentials": credentials}
    answer = post("/api/connections/create", json.dumps(body).encode())
    assert sentence_of(answer, 400) == "credentials: Give either username and password, or apiKey."


@pytest.mark.parametrize("integration_id", ["", ".", "..", "a/b", "a,b", "é", "a\n", "x" * 256, "a?b#c", "a%00"])
@pytest.mark.parametrize("path", sorted(set(WITH_BODY) - {"/api/auth/cli/session"}))
def test_an_id_that_no_integration_can_have_reaches_nobody(alice_api, sandbox, path, integration_id):
    body = {**WITH_BODY[path], "integration_id": integration_id}
    answer = alice_api.post(path, body)
    sentence_of(answer)
    assert all("/a" not in entry["path"] for entry in sandbox.requests("nango"))
