"""STATIC_API_KEYS_FILE: read strictly at the start, and what its keys open."""

import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from accounts import static_keys
from accounts.authenticators import HTTP, authenticate
from accounts.checks import static_keys_are_of_organizations
from accounts.models import Membership, Organization, User
from accounts.principals import Kind, Proof
from tests.accounts.keys import STATIC, configure
from tests.conftest import APIClient

ORGANIZATION = "00000000-0000-4000-8000-00000000abcd"
FIRST = "STATIC_API_KEYS_FILE, key 1: "
WHOLE = {
    "key": STATIC,
    "org_id": ORGANIZATION,
    "principal_type": "Service",
    "principal_id": "billing",
    "role": "ADMIN",
}


def write(tmp_path, text):
    path = tmp_path / "keys.toml"
    path.write_text(text)
    return str(path)


def table(**changed):
    lines = [f'{name} = "{value}"' for name, value in {**WHOLE, **changed}.items()]
    return "\n".join(["[[keys]]", *lines])


def test_without_a_file_there_are_none():
    assert static_keys.read("") == {}


def test_a_file_is_read(tmp_path):
    (key,) = static_keys.read(write(tmp_path, table())).values()
    assert (key.kind, key.name, key.role, str(key.organization_id)) == (Kind.SERVICE, "billing", "admin", ORGANIZATION)
    assert STATIC not in repr(key)
    assert static_keys.read(write(tmp_path, table()))[key.digest] == key


def test_a_services_id_is_its_own_or_made_of_its_name(tmp_path):
    given = str(uuid.uuid4())
    ids = [
        next(iter(static_keys.read(write(tmp_path, table(**changed))).values())).principal_id
        for changed in ({}, {}, {"principal_id": "other"}, {"principal_type": "Worker"}, {"principal_id": given})
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert str(ids[4]) == given


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("keys = 1", "STATIC_API_KEYS_FILE has tables [[keys]], and nothing else."),
        ("[other]\nx = 1", "STATIC_API_KEYS_FILE has tables [[keys]], and nothing else."),
        (f'{table()}\nscope = "x"', f"{FIRST}There is no scope."),
        ('[[keys]]\nkey = "x"', f"{FIRST}org_id is missing."),
        ("keys = [1]", f"{FIRST}It must be a table."),
        (table(org_id="acme"), f"{FIRST}org_id must be a UUID."),
        (table(role="ROOT"), f"{FIRST}role must be OWNER, ADMIN or MEMBER."),
        (table(principal_type="Robot"), f"{FIRST}principal_type must be one of User, Worker, Service."),
        (table(principal_type="User"), f"{FIRST}principal_id of a User must be a UUID."),
        (table(principal_id=" "), f"{FIRST}principal_id must be a text."),
        (table(principal_id="x" * 101), f"{FIRST}principal_id must have at most 100 characters."),
        (table(key="too-short"), f"{FIRST}key must have 32 to 512 characters, without spaces."),
        (table(key="with spaces " * 4), f"{FIRST}key must have 32 to 512 characters, without spaces."),
        (table(key="crayon_sk_" + "x" * 51), f"{FIRST}key looks like another kind of credential"),
        (table(key="a" * 64), f"{FIRST}key looks like another kind of credential"),
        (table(key=f"{'x' * 20}.{'y' * 20}.{'z' * 20}"), f"{FIRST}key looks like another kind"),
        (f"{table()}\n{table(role='OWNER')}", "STATIC_API_KEYS_FILE, key 2: This key stands there twice."),
    ],
)  # fmt: skip
def test_what_is_not_understood_stops_the_start_without_showing_a_key(tmp_path, text, sentence):
    with pytest.raises(ImproperlyConfigured) as raised:
        static_keys.read(write(tmp_path, text))
    assert str(raised.value).startswith(sentence)
    assert STATIC not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_file_that_is_not_there_or_no_toml_stops_the_start(tmp_path):
    for path in (str(tmp_path / "none"), write(tmp_path, f"key = {STATIC}")):
        with pytest.raises(ImproperlyConfigured) as raised:
            static_keys.read(path)
        assert STATIC not in str(raised.value)


# --- what they open -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_service_acts_in_its_organization_and_owns_nothing_of_peoples(alice, settings, sandbox):
    key = configure(settings, alice.personal_organization)
    principal = authenticate(HTTP, key, now=timezone.now())
    assert (principal.kind, principal.proof, principal.role) == (Kind.SERVICE, Proof.STATIC_KEY, "member")
    assert (principal.name, principal.organization_slug, principal.is_person) == ("billing", "alice", False)
    api = APIClient(key)
    assert api.get("/api/integrations").status_code == 200
    sentence = "This belongs to people, and this key acts for none. Use a person's own API key or access token."
    for path in ("/api/cloud-dev/list", "/api/integrations/acme/connections", "/api/keys"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (403, {"error": sentence})


@pytest.mark.django_db
def test_a_key_of_a_member_acts_as_them_with_the_lesser_role(alice, bob, settings):
    organization = alice.personal_organization
    Membership.objects.create(organization=organization, user=bob, role="admin")
    for configured, role in (("OWNER", "admin"), ("MEMBER", "member")):
        key = configure(settings, organization, principal_type="User", principal_id=str(bob.pk), role=configured)
        principal = authenticate(HTTP, key, now=timezone.now())
        assert (principal.id, principal.role, principal.is_own_login) == (bob.pk, role, False)
    assert APIClient(key).get("/api/cloud-dev/list").status_code == 200
    assert APIClient(key).post("/api/keys", {"name": "x"}).status_code == 403
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert APIClient(key).get("/api/cloud-dev/list").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["person", "membership", "organization"])
def test_a_key_whose_person_or_organization_is_not_there_opens_nothing(alice, bob, settings, missing):
    organization = alice.personal_organization
    if missing == "person":
        key = configure(settings, organization, principal_type="User", principal_id=str(uuid.uuid4()))
    elif missing == "membership":
        key = configure(settings, organization, principal_type="User", principal_id=str(bob.pk))
    else:
        key = configure(settings, Organization(), role="OWNER")
    assert APIClient(key).get("/api/integrations").status_code == (403 if missing == "membership" else 401)


@pytest.mark.django_db
def test_a_request_asks_once(alice, settings, django_assert_num_queries):
    key = configure(settings, alice.personal_organization)
    with django_assert_num_queries(1):
        authenticate(HTTP, key, now=timezone.now())


@pytest.mark.django_db
def test_a_key_of_an_organization_that_is_not_there_keeps_the_server_from_starting(alice, settings):
    assert static_keys_are_of_organizations() == []
    configure(settings, alice.personal_organization)
    assert static_keys_are_of_organizations() == []
    configure(settings, Organization(id=uuid.UUID(ORGANIZATION)))
    (error,) = static_keys_are_of_organizations()
    assert (error.id, ORGANIZATION in error.msg, STATIC in str(error)) == ("crayon.E014", True, False)
