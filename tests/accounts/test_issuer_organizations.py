"""Which organization a trusted issuer's token acts in here, and who somebody of its is."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.bearer import Suspended, Waiting
from accounts.models import AuditEvent, IssuerOrganization, IssuerPerson, Membership, Organization, User
from accounts.services import users
from accounts.services.configured_organizations import bind
from accounts.trusted_issuers import foreign_token
from accounts.trusted_issuers.errors import InvalidForeignToken, UnknownOrganization
from tests.conftest import make_person

pytestmark = pytest.mark.django_db


def look(token, now=None):
    return foreign_token(token, now=now or timezone.now())


def unknown(token, slug="acme"):
    with pytest.raises(UnknownOrganization) as caught:
        look(token)
    return (caught.value.code, caught.value.sentence) == ("unknown_organization", f"Unknown organization: {slug}")


def test_an_organization_that_is_not_here_is_unknown_and_makes_nobody(issuer):
    assert unknown(issuer.token())
    assert not User.objects.exists()
    assert not Organization.objects.exists()


def test_a_token_that_is_not_valid_hears_nothing_about_organizations(issuer):
    with pytest.raises(InvalidForeignToken):
        look(issuer.token(aud="somebody-else"))


def test_an_organization_made_by_somebody_here_takes_no_tokens(issuer):
    Organization.objects.create(name="Acme", slug="acme")
    assert unknown(issuer.token())


def test_a_personal_organization_takes_no_tokens_whatever_is_written(issuer, alice, settings):
    settings.ORGS_AUTO_CREATE = True
    token = issuer.token(org={"slug": "alice", "role": "owner"})
    assert unknown(token, "alice")
    bind(organization=alice.personal_organization, issuer=issuer.url, now=timezone.now())
    assert unknown(token, "alice")


def test_an_organization_of_another_issuer_takes_no_tokens(issuer, acme):
    IssuerOrganization.objects.update(issuer="https://before.example")
    assert unknown(issuer.token())


def test_another_organization_that_took_the_slug_over_there_is_unknown(issuer, acme):
    assert look(issuer.token())
    assert IssuerOrganization.objects.get().foreign_id == "acme-there"
    assert unknown(issuer.token(org={"id": "another", "slug": "acme", "role": "owner"}))
    assert look(issuer.token(org={"slug": "acme", "role": "owner"}))


def test_bound_anew_it_learns_the_other_id(issuer, acme):
    look(issuer.token())
    bind(organization=acme, issuer="https://before.example", now=timezone.now())
    bind(organization=acme, issuer=issuer.url, now=timezone.now())
    assert look(issuer.token(org={"id": "another", "slug": "acme", "role": "owner"}))


def test_nothing_is_made_by_itself_unless_somebody_said_so(issuer, settings):
    assert settings.ORGS_AUTO_CREATE is False
    assert unknown(issuer.token())
    settings.ORGS_AUTO_CREATE = True
    found = look(issuer.token())
    made = Organization.objects.get()
    assert (made.pk, made.slug, made.name, made.personal_for) == (found.organization_id, "acme", "Acme", None)
    assert IssuerOrganization.objects.get().foreign_id == "acme-there"
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {
        "organization.auto_created",
        "organization.bound_to_issuer",
        "user.came_from_issuer",
    }
    look(issuer.token(sub="bob-there", id=None))
    assert Organization.objects.count() == 1


@pytest.mark.parametrize("slug", ["Acme", "a_b", "-a", "a" * 101, "a b", "../x"])
def test_no_organization_is_made_with_a_slug_that_is_none(issuer, settings, slug):
    settings.ORGS_AUTO_CREATE = True
    assert unknown(issuer.token(org={"slug": slug, "role": "owner"}), slug)
    assert not Organization.objects.exists()


def test_a_suspended_organization_is_closed(issuer, acme):
    Organization.objects.update(suspended_at=timezone.now())
    with pytest.raises(Suspended):
        look(issuer.token())


def test_somebody_is_never_found_by_their_address(issuer, acme, alice):
    found = look(issuer.token(email=alice.email, name=alice.name))
    assert found.id != alice.pk
    person = User.objects.get(pk=found.id)
    assert (person.email, person.github_id, person.has_usable_password()) == ("", None, False)
    assert person.username.startswith("alice-")
    assert IssuerPerson.objects.get().email == alice.email


def test_one_subject_of_two_issuers_is_two_people(issuer, acme):
    IssuerPerson.objects.create(
        issuer="https://before.example",
        subject="alice-there",
        user=make_person("before"),
        created_at=timezone.now(),
        seen_at=timezone.now(),
    )
    assert look(issuer.token()).login.startswith("alice-")


def test_they_are_no_member_and_have_nothing_of_their_own(issuer, acme):
    found = look(issuer.token(org={"slug": "acme", "role": "owner"}))
    assert found.role == "owner"
    assert not Membership.objects.filter(user=found.id).exists()
    assert not Organization.objects.filter(personal_for=found.id).exists()


def test_name_and_address_are_followed_once_in_a_while(issuer, acme, settings):
    first, later = timezone.now(), timezone.now() + timedelta(seconds=settings.ORG_RESOLVER_SECONDS)
    look(issuer.token(), first)
    token = issuer.token(
        name="Alice B.", email="b@example.com", iat=int(later.timestamp()), exp=int(later.timestamp()) + 9
    )
    stored = IssuerPerson.objects.values_list("name", "email", "user__name", "user__email")
    assert look(issuer.token(name="Alice B."), first).name == "Alice B."
    assert stored.get() == ("Alice", "alice@example.com", "Alice", "")
    look(token, later)
    assert stored.get() == ("Alice B.", "b@example.com", "Alice B.", "")


def test_a_suspended_person_is_refused_at_once(issuer, acme):
    person = User.objects.get(pk=look(issuer.token()).id)
    users.suspend(user=person, by=None)
    with pytest.raises(Suspended):
        look(issuer.token())
    User.objects.update(waitlisted_at=timezone.now())
    with pytest.raises(Waiting):
        look(issuer.token())


def test_signing_out_everywhere_ends_the_tokens_of_until_then(issuer, acme):
    now = timezone.now()
    stamp = int(now.timestamp())
    before = issuer.token(iat=stamp - 5, exp=stamp + 300)
    person = User.objects.get(pk=look(before, now).id)
    users.revoke_everything(user=person, by=None, now=now)
    for token in (before, issuer.token(iat=stamp, exp=stamp + 300)):
        with pytest.raises(InvalidForeignToken):
            look(token, now + timedelta(seconds=2))
    assert look(issuer.token(iat=stamp + 1, exp=stamp + 300), now + timedelta(seconds=2)).id == person.pk


def test_a_deleted_person_comes_back_as_somebody_new(issuer, acme):
    before = look(issuer.token()).id
    User.objects.get(pk=before).delete()
    assert look(issuer.token()).id != before
