"""Which ids are taken, and how their length is counted: as Nango does, in UTF-16 units."""

import pytest

from accounts.models import AuditEvent
from integrations.identifiers import cut_for_nango, is_connection_id
from integrations.models import Connection
from tests.integrations.conftest import at_nango

FOX = "\N{FOX FACE}"
BLANKS = (" ", "   ", "\u00a0", "\u2003\u3000")
LONGEST = ("x" * 255, "é" * 255, FOX * 127 + "x")
TOO_LONG = ("x" * 256, FOX * 128, "x" * 254 + FOX)


@pytest.mark.parametrize("connection_id", [*BLANKS, *TOO_LONG, "", ".", "..", "a\nb", "a\x7fb"])
def test_no_connection_has_such_an_id(connection_id):
    assert not is_connection_id(connection_id)


@pytest.mark.parametrize("connection_id", [*LONGEST, " a ", "...", "a/b"])
def test_a_connection_can_have_such_an_id(connection_id):
    assert is_connection_id(connection_id)


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [("", 3, ""), ("abcd", 3, "abc"), (f"ab{FOX}", 3, "ab"), (f"ab{FOX}", 4, f"ab{FOX}"), (FOX * 3, 5, FOX * 2)],
)
def test_a_text_is_cut_between_characters(text, most, cut):
    assert cut_for_nango(text, most=most) == cut


@pytest.fixture
def create(alice_api, sandbox):
    def post(connection_id, key="not-a-secret"):
        body = {"integration_id": "acme", "connection_id": connection_id, "credentials": {"apiKey": key}}
        return alice_api.post("/api/connections/create", body)

    return post


@pytest.mark.parametrize("connection_id", [*BLANKS, FOX * 128])
def test_what_could_never_be_fetched_is_not_made(create, calls, connection_id):
    answer = create(connection_id)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("connection_id: ")
    assert (Connection.objects.exists(), AuditEvent.objects.exists(), calls()) == (False, False, [])


@pytest.mark.parametrize("connection_id", LONGEST)
def test_the_longest_ids_are_made_and_fetched(create, alice_api, connection_id):
    assert create(connection_id).status_code == 200
    fetched = alice_api.get("/api/credentials/acme", connection_id=connection_id)
    assert (fetched.status_code, fetched.json()["data"]["token"]) == (200, "not-a-secret")


def test_a_longest_secret_is_taken_and_a_longer_one_is_refused(create, sandbox):
    assert create("mine", key=FOX * 512).status_code == 200
    refused = create("mine", key=FOX * 512 + "x")

    assert refused.status_code == 400
    assert refused.json() == {"error": "credentials.apiKey: Ensure this field has no more than 1024 characters."}
    assert at_nango(sandbox, "mine")["credentials"]["apiKey"] == FOX * 512


def test_a_name_of_many_foxes_is_cut_to_what_nango_takes(alice, alice_api, sandbox):
    alice.name = FOX * 255
    alice.save()

    assert alice_api.post("/api/nango/connect-session", {"integration_id": "acme"}).status_code == 200
    (session,) = sandbox.state()["nango"]["sessions"].values()
    assert session["tags"]["end_user_display_name"] == FOX * 127
