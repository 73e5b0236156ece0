"""Which ids are taken, and how their length is counted: as Nango does, in UTF-16 units."""

import pytest

from accounts.models import AuditEvent
from integrations.models import Connection
from integrations.nango_ids import cut_for_nango, is_connection_id
from tests.integrations.conftest import at_nango

FOX = "\N{FOX FACE}"
BLANKS = (" ", "   ", "\u00a0", "\u2003\u3000")
LONGEST = ("x" * 255, "a b" * 85)
UNADDRESSABLE = (*"%?#&*!(<^`", "\u00e9", FOX, "\u00a0x", "\u200b")
TOO_LONG = ("x" * 256, FOX * 128, "x" * 254 + FOX)


@pytest.mark.parametrize("connection_id", [*BLANKS, *TOO_LONG, "", ".", "..", "a\nb", "a\x7fb"])
def test_no_connection_has_such_an_id(connection_id):
    assert not is_connection_id(connection_id)


@pytest.mark.parametrize("connection_id", [*LONGEST, "é" * 255, FOX * 127 + "x", " a ", "...", "a/b"])
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


@pytest.mark.parametrize("odd", UNADDRESSABLE)
def test_an_id_that_nango_could_not_find_again_is_refused_with_the_rule(create, calls, odd):
    refused = create(f"a{odd}b")

    assert (refused.status_code, refused.json()) == (400, {
        "error": """connection_id: Use letters, digits, spaces and , . ; : = + ~ [ ] | @ $ { } " ' \\ / _ - only: """
        "by other characters Nango finds no connection again."
    })  # fmt: skip
    assert (Connection.objects.exists(), calls()) == (False, [])


@pytest.mark.parametrize("mark", ",.;:=+~[]|@${}\"'\\/_ -")
def test_an_id_of_nangos_alphabet_is_made_read_renewed_and_deleted(create, alice_api, sandbox, mark):
    connection_id = f"a{mark}b"
    asked = {"integration_id": "acme", "connection_id": connection_id}
    assert create(connection_id).status_code == 200
    assert alice_api.get("/api/credentials/acme", connection_id=connection_id).status_code == 200
    assert alice_api.post("/api/nango/connect-session", asked).status_code == 200
    assert alice_api.post("/api/connections/delete", asked).json() == {"ok": True}
    assert at_nango(sandbox, connection_id) is None


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("alice@example.com", True),
        ("a.b+c_d-e'f@mail.example.co", True),
        ("alice'@example.com", False),
        (".alice@example.com", False),
        ("al..ice@example.com", False),
        ("al!ce@example.com", False),
        ("alice@localhost", False),
        ("alice@example.c0m", False),
        ("alice@example.xn--p1ai", False),
        ("\u00e1lice@example.com", False),
        ("", False),
    ],
)
def test_an_address_that_nango_would_refuse_is_left_out_of_the_tags(alice, alice_api, sandbox, address, kept):
    alice.email = address
    alice.save()

    assert alice_api.post("/api/nango/connect-session", {"integration_id": "acme"}).status_code == 200
    (session,) = sandbox.state()["nango"]["sessions"].values()
    assert session["tags"].get("end_user_email") == (address if kept else None)


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
