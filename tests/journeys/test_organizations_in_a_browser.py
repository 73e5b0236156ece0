"""People who work together: one makes an organization and invites another one, who joins and switches between them."""

import re

import pytest
from playwright.sync_api import expect

from accounts.models import Invitation, Membership, Organization
from tests.accounts.organization_builders import add_to, invite, make_organization
from tests.accounts.threads import at_once
from tests.conftest import make_person

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180), pytest.mark.slow(20)]


def roles(slug):
    found = at_once(
        lambda: list(Membership.objects.filter(organization__slug=slug).values_list("user__username", "role"))
    )
    return dict(found[0])


def make_and_invite(alice, server):
    """alice makes an organization and invites bob; gives the link that she passes on to him."""
    page = alice.page
    page.goto(f"{server.url}/organizations/")
    alice.sign_in_at_github("alice")
    alice.reads("Organizations")
    alice.shoot("organizations-1-none")
    page.get_by_label("Name").fill("The Team")
    page.get_by_label("Slug").fill("the-team")
    page.get_by_role("button", name="Create").click()
    alice.reads("The Team")
    page.get_by_label("Invite by e-mail address").fill("bob@example.com")
    page.get_by_label("Role", exact=True).select_option("admin")
    page.get_by_role("button", name="Invite").click()
    alice.shoot("organizations-2-invited")
    return page.locator(".shown-once code").inner_text()


def test_one_makes_it_and_invites_another_who_joins_by_the_link(server, person):
    alice, bob = person(), person()
    link = make_and_invite(alice, server)
    assert link.startswith(f"{server.url}/invitations/?link=")

    page = bob.page
    page.goto(link)
    bob.sign_in_at_github("bob")
    bob.reads("Join The Team?")
    expect(page.get_by_text("an admin, who decides about invitations and members")).to_be_visible()
    bob.shoot("organizations-3-join")
    page.get_by_role("button", name="Accept the invitation to The Team").click()
    bob.reads("The Team")
    assert roles("the-team") == {"alice": "owner", "bob": "admin"}
    bob.shoot("organizations-4-as-an-admin")

    page.get_by_role("link", name="Organizations", exact=True).first.click()
    expect(page.get_by_role("listitem").filter(has_text="The Team")).to_contain_text("you work in it")
    page.get_by_role("button", name="Switch to").click()
    expect(page.get_by_role("listitem").filter(has_text="personal")).to_contain_text("you work in it")
    bob.shoot("organizations-5-switched")


def test_the_link_tells_whoever_signs_in_with_another_address(server, person):
    link = make_and_invite(person(), server)
    charlie = person()
    charlie.page.goto(link)
    charlie.sign_in_at_github("charlie")
    charlie.reads("Join The Team?")
    expect(charlie.page.get_by_role("note")).to_contain_text("This invitation is for b…@example.com")
    assert charlie.page.get_by_role("button", name=re.compile("Accept")).count() == 0
    charlie.shoot("organizations-6-for-another")


def test_it_is_managed_handed_over_left_and_deleted(server, person):
    alice = person()
    page = alice.page
    page.goto(f"{server.url}/organizations/")
    alice.sign_in_at_github("alice")
    alice.reads("Organizations")

    def furnish():
        from accounts.models import User  # noqa: PLC0415 - in the thread that has the database

        owner = User.objects.get(username="alice")
        made = make_organization(owner, "team")
        add_to(made, make_person("bob"), "admin")
        add_to(made, make_person("charlie"))
        invite(made, "somebody@example.com", by=owner)

    at_once(furnish)
    page.goto(f"{server.url}/organizations/team/")
    alice.shoot("organizations-7-an-owners")
    page.get_by_role("button", name="Remove charlie").click()
    expect(page.get_by_role("status")).to_contain_text("charlie is no member any more")
    page.get_by_label("Role of bob", exact=True).select_option("member")
    page.get_by_role("button", name="Change the role of bob").click()
    expect(page.get_by_role("status")).to_contain_text("bob is a member now.")
    page.get_by_role("button", name="Withdraw the invitation of somebody@example.com").click()
    expect(page.get_by_text("Nobody is invited at the moment.")).to_be_visible()

    page.get_by_label("Type team to confirm").fill("Team")
    page.get_by_role("button", name="Delete Team").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted.")
    alice.shoot("organizations-8-wrong-slug")

    page.get_by_label("New owner").select_option("bob")
    page.get_by_role("button", name="Transfer Team").click()
    expect(page.get_by_role("status")).to_contain_text("bob is an owner now, and you are an admin.")
    page.get_by_text("Leave Team…").click()
    alice.shoot("organizations-9-leaving")
    page.get_by_role("button", name="Leave Team").click()
    expect(page.get_by_role("status")).to_contain_text("You have left Team.")
    assert roles("team") == {"bob": "owner"}
    assert at_once(lambda: (Organization.objects.shared().count(), Invitation.objects.count()))[0] == (1, 1)
