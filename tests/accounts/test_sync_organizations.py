"""manage.py sync_organizations: the organizations of CONFIG_FILE are there, by their ids and slugs; others stay."""

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, IssuerOrganization, Organization
from accounts.trusted_issuers.checks import organizations_are_as_configured
from config.config_sections import ConfiguredOrganization
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db
ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER = "650e8400-e29b-41d4-a716-446655440000"


def configured(slug="acme", name="Acme Corp", identity=ID, **more):
    return ConfiguredOrganization(id=identity, name=name, slug=slug, **more)


@pytest.fixture
def sync(settings):
    def sync(*organizations):
        settings.CONFIGURED_ORGANIZATIONS = organizations
        out = StringIO()
        call_command("sync_organizations", stdout=out)
        return out.getvalue()

    return sync


def test_without_any_nothing_is_done(sync):
    assert sync() == "Organizations: 0 made, 0 changed, 0 unchanged.\n"


def test_it_makes_what_is_missing_once(sync):
    assert sync(configured(tier="PRO", region="eu")) == "Organizations: 1 made, 0 changed, 0 unchanged.\n"
    [row] = Organization.objects.all()
    assert (row.pk, row.slug, row.name, row.tier, row.region) == (uuid.UUID(ID), "acme", "Acme Corp", "PRO", "eu")
    assert sync(configured(tier="PRO", region="eu")) == "Organizations: 0 made, 0 changed, 1 unchanged.\n"
    assert AuditEvent.objects.count() == 1


def test_it_takes_over_names_and_leaves_others_alone(sync, alice):
    sync(configured(), configured("beta", "Beta", OTHER))
    assert sync(configured(name="Acme Ltd")) == "Organizations: 0 made, 1 changed, 0 unchanged.\n"
    assert dict(Organization.objects.values_list("slug", "name")) == {
        "acme": "Acme Ltd",
        "beta": "Beta",
        "alice": "Alice",
    }
    assert AuditEvent.objects.filter(action="organization.configured").first().details == {"name": "Acme Ltd"}


def test_the_trusted_issuers_tokens_may_act_in_them(sync, issuer):
    sync(configured())
    assert IssuerOrganization.objects.get().issuer == issuer.url
    IssuerOrganization.objects.update(issuer="https://before.example", foreign_id="x")
    assert sync(configured()) == "Organizations: 0 made, 1 changed, 0 unchanged.\n"
    assert IssuerOrganization.objects.values_list("issuer", "foreign_id").get() == (issuer.url, "")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (
            configured("acme-corp"),
            (
                f"The organization {ID} has the slug acme here, and acme-corp in CONFIG_FILE. A slug can't be changed: "
                "write acme, or give acme-corp an id of its own."
            ),
        ),
        (
            configured(identity=OTHER),
            (
                f"The slug acme is that of the organization {ID} here, and not of {OTHER}. Write that id to have it "
                "configured by the file, or choose another slug."
            ),
        ),
    ],
)
def test_ids_and_slugs_are_for_good(sync, wanted, sentence):
    sync(configured())
    with pytest.raises(CommandError) as caught:
        sync(configured("beta", "Beta", str(uuid.uuid4())), wanted)
    assert str(caught.value) == sentence
    assert list(Organization.objects.values_list("slug", flat=True)) == ["acme"], "all or nothing"


def test_somebodys_personal_organization_is_not_configured(sync, alice):
    own = alice.personal_organization
    for wanted in (configured("alice", identity=str(own.pk)), configured("alice")):
        with pytest.raises(CommandError, match="personal"):
            sync(wanted)


def test_a_check_says_what_was_not_done_yet(sync, settings):
    settings.CONFIGURED_ORGANIZATIONS = (configured(), configured("beta", "Beta", OTHER))
    [message] = organizations_are_as_configured(None, databases=["default"])
    assert (message.id, message.msg) == (
        "crayon.W062",
        "orgs of CONFIG_FILE: acme, beta is not in the database as the file says.",
    )
    sync(configured(), configured("beta", "Beta", OTHER))
    assert organizations_are_as_configured(None, databases=["default"]) == []
    settings.CONFIGURED_ORGANIZATIONS = (configured(name="Other"),)
    assert organizations_are_as_configured(None, databases=["default"])
    assert organizations_are_as_configured(None) == []


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_each_once(settings):
    settings.CONFIGURED_ORGANIZATIONS = (configured(), configured("beta", "Beta", OTHER))
    at_once(*[lambda: call_command("sync_organizations", stdout=StringIO())] * 4)
    assert Organization.objects.count() == 2
