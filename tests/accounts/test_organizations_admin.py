"""Organizations and invitations in the operators' admin."""

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Organization
from accounts.services import operators as operator_services
from tests.accounts.organization_builders import invite, make_organization
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of
from tests.operators import make_operator

pytestmark = pytest.mark.django_db
TABLE = "/admin/accounts/organization/"


def test_an_operator_suspends_one_and_restores_it(operator, operators, alice, alice_api):
    personal = alice.personal_organization
    page = operators.get(f"{TABLE}{personal.pk}/suspend_one/").content.decode()
    assert "Suspend Alice (alice)?" in page
    operators.post(f"{TABLE}{personal.pk}/suspend_one/")
    assert alice_api.get("/api/orgs").status_code == 403
    operators.post(f"{TABLE}{personal.pk}/restore_one/")
    assert alice_api.get("/api/orgs").status_code == 200
    rows = AuditEvent.objects.filter(organization_id=personal.pk, actor_id=operator.pk).order_by("pk")
    assert list(rows.values_list("action", flat=True)) == ["organization.suspended", "organization.restored"]


def test_several_are_asked_for_in_red_and_named(operators, alice, bob):
    both = list(Organization.objects.filter(personal_for__in=[alice, bob]).values_list("pk", flat=True))
    form = {"action": "suspend_selected", "_selected_action": [str(key) for key in both]}
    page = operators.post(TABLE, form).content.decode()
    assert "Suspend: these 2?" in page
    assert not Organization.objects.filter(suspended_at__isnull=False).exists()
    operators.post(TABLE, {**form, "post": "yes"})
    assert Organization.objects.filter(suspended_at__isnull=False).count() == 2


def test_it_is_suspended_once(operators, alice):
    path = f"{TABLE}{alice.personal_organization.pk}/suspend_one/"
    operators.post(path)
    assert "alice was suspended before." in operators.post(path, follow=True).content.decode()
    assert AuditEvent.objects.filter(action="organization.suspended").count() == 1


def test_one_that_a_superuser_belongs_to_is_for_superusers(alice):
    made = make_organization(alice, "team", member=make_operator("boss"))
    operator = make_operator(superuser=False)
    with pytest.raises(operator_services.operator_power.SuperusersOnly):
        operator_services.suspend_organization(organization=made, by=operator, now=timezone.now())
    made.refresh_from_db()
    assert made.suspended_at is None


@pytest.mark.django_db(transaction=True)
def test_of_two_who_suspend_it_at_once_one_writes_it_down(alice):
    first, second = make_operator("first"), make_operator("second")
    made = make_organization(alice, "team")

    def suspend(by):
        return operator_services.suspend_organization(organization=made, by=by, now=timezone.now())

    assert sorted(at_once(lambda: suspend(first), lambda: suspend(second))) == [False, True]
    assert AuditEvent.objects.filter(action="organization.suspended").count() == 1


def test_invitations_are_shown_without_their_links(operators, alice):
    made = invite(make_organization(alice, "team"), "bob@example.com", by=alice)
    for path in ("", f"{made.invitation.pk}/change/"):
        page = operators.get(f"/admin/accounts/invitation/{path}").content.decode()
        assert "bob@example.com" in page
        assert "waiting" in page
        assert made.link.partition("=")[2] not in page
        assert bytes(made.invitation.digest).hex() not in page


OUTCOMES = ["waiting", "accepted", "declined", "withdrawn", "expired"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_invitations_are_filtered_by_what_became_of_them(operators, alice, outcome):
    made = make_organization(alice, "team")
    for state in OUTCOMES:
        row = invite(made, f"{state}@example.com", by=alice).invitation
        over = {"expires_at": timezone.now()} if state == "expired" else {"state": state}
        type(row).objects.filter(pk=row.pk).update(**over)
    page = operators.get("/admin/accounts/invitation/", {"outcome": outcome}).content.decode()
    assert [state for state in OUTCOMES if f"{state}@example.com" in page] == [outcome]


def test_an_organization_of_the_api_shows_who_made_it(operators, alice):
    APIClient(token_of(alice)).post("/api/orgs", {"name": "Team", "slug": "team"})
    page = operators.get(f"{TABLE}{Organization.objects.get(slug='team').pk}/change/").content.decode()
    assert "Made by" in page
