"""manage.py bind_organization: an organization that is here takes the trusted issuer's tokens from now on."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEvent, IssuerOrganization, Organization
from accounts.trusted_issuers import foreign_token
from accounts.trusted_issuers.errors import UnknownOrganization

pytestmark = pytest.mark.django_db


def bind(slug="acme"):
    out = StringIO()
    call_command("bind_organization", slug, stdout=out)
    return out.getvalue()


def look(issuer, **organization):
    token = issuer.token(org={"slug": "acme", "role": "member", **organization})
    return foreign_token(token, now=timezone.now())


def test_an_organization_that_was_made_here_takes_tokens(issuer):
    made = Organization.objects.create(name="Acme", slug="acme")
    with pytest.raises(UnknownOrganization):
        look(issuer)
    assert bind() == f"Tokens of {issuer.url} may act in acme from now on.\n"
    assert look(issuer).organization_id == made.pk
    assert AuditEvent.objects.filter(action="organization.bound_to_issuer").count() == 1


def test_one_that_the_issuer_made_anew_is_known_again(issuer, acme):
    look(issuer, id="before")
    with pytest.raises(UnknownOrganization):
        look(issuer, id="anew")
    bind()
    assert look(issuer, id="anew")
    assert IssuerOrganization.objects.get().foreign_id == "anew"


def test_what_cannot_be_meant_is_refused(issuer, alice, settings):
    with pytest.raises(CommandError, match="no organization with the slug acme"):
        bind()
    with pytest.raises(CommandError, match="personal organization"):
        bind("alice")
    settings.TRUSTED_TOKENS = settings.KEY_VALIDATION = None
    with pytest.raises(CommandError, match="trusts no issuer"):
        bind("alice")
