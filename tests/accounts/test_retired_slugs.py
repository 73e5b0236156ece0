"""The slug of a deleted organization is nobody else's: services beside this server would take one for the other."""

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from accounts.models import AuditEvent, Organization, RetiredSlug
from accounts.services import issuers, organizations, users
from accounts.services.configured_organizations import CannotBeConfigured, synchronize
from config.config_sections import ConfiguredOrganization
from tests.accounts.organization_builders import make_organization
from tests.accounts.threads import at_once
from tests.conftest import make_person

pytestmark = pytest.mark.django_db
BODY = {"name": "Acme", "slug": "acme"}
TAKEN = {"error": "This slug is taken. Choose another one."}


@pytest.fixture
def gone(alice):
    """An organization `acme` that was deleted."""
    made = make_organization(alice, "acme")
    gone = Organization(pk=made.pk, slug="acme")
    organizations.delete(slug="acme", person=alice)
    return gone


def configured(pk):
    return ConfiguredOrganization(id=str(pk), name="Acme", slug="acme")


def test_nobody_makes_another_one_of_it(gone, alice_api, bob_api):
    for api in (alice_api, bob_api):
        answer = api.post("/api/orgs", BODY)
        assert (answer.status_code, answer.json()) == (409, TAKEN)
    assert not Organization.objects.filter(slug="acme").exists()


def test_a_person_of_that_name_has_another_slug_for_their_own(gone):
    assert make_person("acme").personal_organization.slug.startswith("acme-")


def test_the_slug_of_a_deleted_person_is_retired_too(bob, alice_api):
    bob.delete()
    assert alice_api.post("/api/orgs", {"name": "Bob", "slug": "bob"}).status_code == 409
    assert make_person("bob").personal_organization.slug.startswith("bob-")


def test_a_token_of_the_issuers_makes_none_of_it(gone):
    issuers.make_organization(
        issuer="https://issuer.example", slug="acme", name="Acme", foreign_id="", now=timezone.now()
    )
    assert not Organization.objects.filter(slug="acme").exists()


def test_the_file_brings_the_same_one_back_and_no_other(gone):
    now = timezone.now()
    with pytest.raises(CannotBeConfigured, match=f"was that of the organization {gone.pk}, which was deleted"):
        synchronize(organizations=[configured("00000000-0000-4000-8000-000000000001")], issuer="", now=now)
    assert synchronize(organizations=[configured(gone.pk)], issuer="", now=now).made == 1
    Organization.objects.get(slug="acme").delete()
    assert RetiredSlug.objects.get(slug="acme").organization_id == gone.pk


def test_an_operator_frees_it(gone, bob_api):
    call_command("free_slug", "acme")
    assert bob_api.post("/api/orgs", BODY).status_code == 201
    event = AuditEvent.objects.get(action="organization.slug_freed")
    assert (event.organization_id, event.target_id) == (gone.pk, "acme")
    with pytest.raises(CommandError, match="had this slug"):
        call_command("free_slug", "acme")


@pytest.mark.django_db(transaction=True)
def test_whoever_waited_for_the_deletion_does_not_get_it(alice, bob):
    make_organization(alice, "acme")
    made = []

    def delete():
        organizations.delete(slug="acme", person=alice)

    def create():
        try:
            with transaction.atomic():
                made.append(organizations.create(name="Acme", slug="acme", person=bob))
        except organizations.SlugTaken:
            return

    at_once(delete, *[create] * 3)
    assert made == []
    assert users.ensure_personal_organization(user=bob).slug == "bob"
