"""The pages of organizations: the list, switching, members, invitations, and how each of them ends."""

import re
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from accounts.current_user import organization_of
from accounts.models import Invitation, Membership, Organization, User
from accounts.services import invitations
from tests.accounts.browsing import Browser, text_of
from tests.accounts.organization_builders import add_to, invite, make_organization, verified
from tests.clouddev.builders import make_machine

pytestmark = pytest.mark.django_db
PAGE = "/organizations/team/"


@pytest.fixture
def team(alice: User, bob: User) -> Organization:
    """alice's organization, whose member bob is."""
    return make_organization(alice, "team", member=bob)


def active(browser: Browser, user: User) -> str:
    """The slug of the organization that the browser's person works in."""
    request: Any = RequestFactory().get("/")
    request.user, request.session = user, browser.client.session
    return organization_of(request).slug


def buttons(page: Any) -> set[str]:
    """The addresses that the page's forms lead to, but for signing out."""
    return set(re.findall(r'action="(/(?:organizations|invitations)/[^"]*)"', page.content.decode()))


# --- the list and the active one ----------------------------------------------------------------


def test_whoever_has_only_their_personal_one_is_told_what_to_do(alices):
    page = alices.get("/organizations/")
    assert "You belong to no shared organization yet." in text_of(page)
    assert "alice personal you work in it" in text_of(page).replace("Alice", "alice")
    assert buttons(page) == {"/organizations/"}


def test_one_is_made_and_worked_in(alices, alice):
    page = alices.get("/organizations/")
    answer = alices.press(page, "/organizations/", name="The Team", slug="the-team")
    assert answer["Location"] == "/organizations/the-team/"
    assert "The Team is there, and you are its owner." in text_of(alices.get("/organizations/the-team/"))
    assert active(alices, alice) == "the-team"


@pytest.mark.parametrize(
    ("slug", "status", "complaint"),
    [
        ("The Team", 400, "slug: Use lower-case letters and digits, with single hyphens between them."),
        ("bob", 409, "This slug is taken. Choose another one."),
    ],
)
def test_what_can_not_be_made_is_asked_again_with_what_was_typed(alices, bob, slug, status, complaint):
    answer = alices.press(alices.get("/organizations/"), "/organizations/", name="A <b>Team", slug=slug)
    assert (answer.status_code, complaint in text_of(answer)) == (status, True)
    assert f'value="{slug}"' in answer.content.decode()
    assert "A &lt;b&gt;Team" in answer.content.decode()


def test_nobody_is_asked_to_make_one_where_only_operators_do(alices, settings):
    settings.ORGANIZATIONS_PER_PERSON = 0
    assert buttons(alices.get("/organizations/")) == set()


def test_switching_holds_for_this_browser_until_it_is_switched_back(alice, bob, bobs, browser_of, team):
    bobs.press(bobs.get("/organizations/"), f"{PAGE}switch")
    assert (active(bobs, bob), active(browser_of(bob), bob)) == ("team", "bob")
    bobs.press(bobs.get("/organizations/"), "/organizations/bob/switch")
    assert active(bobs, bob) == "bob"


@pytest.mark.parametrize("end", ["removed", "suspended", "deleted"])
def test_whoever_lost_the_active_one_works_in_their_personal_one(bob, bobs, team, end):
    bobs.press(bobs.get(PAGE), f"{PAGE}switch")
    match end:
        case "removed":
            Membership.objects.filter(user=bob, organization=team).delete()
        case "suspended":
            Organization.objects.filter(pk=team.pk).update(suspended_at=timezone.now())
        case _:
            team.delete()
    assert active(bobs, bob) == "bob"
    assert bobs.get("/organizations/").status_code == 200


def test_a_suspended_one_is_not_switched_to(bobs, team):
    page = bobs.get("/organizations/")
    Organization.objects.filter(pk=team.pk).update(suspended_at=timezone.now())
    assert bobs.press(page, f"{PAGE}switch").status_code == 403
    page = bobs.get(PAGE)
    assert "This organization is suspended" in text_of(page)
    assert buttons(page) == {f"{PAGE}leave"}


def test_another_sign_in_begins_in_the_personal_one(bob, bobs, team):
    bobs.press(bobs.get("/organizations/"), f"{PAGE}switch")
    bobs.press(bobs.get("/organizations/"), "/auth/sign-out")
    bobs.client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    assert active(bobs, bob) == "bob"


def test_many_are_listed_in_parts(alice, alices, settings, monkeypatch):
    settings.ORGANIZATIONS_PER_PERSON = 20
    monkeypatch.setattr("accounts.organization_views._MOST_SHOWN", 3)
    for number in range(4):
        make_organization(alice, f"team-{number}")
    first = alices.get("/organizations/").content.decode()
    after = re.search(r'href="\?after=([^"]+)"', first).group(1)
    rest = alices.get("/organizations/", after=after)
    assert (after, "team-3" in text_of(rest), "team-1" in text_of(rest)) == ("team-1", True, False)


# --- one organization ---------------------------------------------------------------------------


def test_each_role_is_offered_what_it_may_do(alice, alices, bob, bobs, charlie, charlies, team):
    add_to(team, charlie, "admin")
    bob_, alice_ = f"{PAGE}members/{bob.pk}/", f"{PAGE}members/{alice.pk}/"
    for_admins = {f"{PAGE}switch", f"{PAGE}invitations", f"{bob_}role", f"{bob_}remove", f"{PAGE}leave"}
    assert buttons(bobs.get(PAGE)) == {f"{PAGE}switch", f"{PAGE}leave"}
    assert buttons(charlies.get(PAGE)) == for_admins
    owners = buttons(alices.get(PAGE))
    assert owners > for_admins
    assert owners >= {f"{PAGE}rename", f"{PAGE}transfer", f"{PAGE}delete", f"{PAGE}members/{charlie.pk}/role"}
    assert not {f"{alice_}role", f"{alice_}remove"} & owners
    assert '<option value="owner"' not in charlies.get(PAGE).content.decode()


def test_a_personal_one_has_nothing_to_share_or_to_end(alices):
    page = alices.get("/organizations/alice/")
    assert buttons(page) == {"/organizations/alice/rename"}


def test_a_role_is_changed_and_somebody_removed(alices, bob, team):
    path = f"{PAGE}members/{bob.pk}/"
    alices.press(alices.get(PAGE), f"{path}role", role="admin")
    page = alices.get(PAGE)
    assert "bob is an admin now." in text_of(page)
    alices.press(page, f"{path}remove")
    assert "bob is no member any more, and their tokens for it are revoked." in text_of(alices.get(PAGE))
    assert list(team.memberships.values_list("user__username", flat=True)) == ["alice"]


def test_it_is_renamed(alices, team):
    alices.press(alices.get(PAGE), f"{PAGE}rename", name="A-Team")
    assert "It is called A-Team now." in text_of(alices.get(PAGE))
    alices.press(alices.get(PAGE), f"{PAGE}rename", name=" ")
    assert "name: This field may not be blank." in text_of(alices.get(PAGE))


def test_the_last_owner_is_told_why_they_stay(alices, team):
    assert alices.press(alices.get(PAGE), f"{PAGE}leave")["Location"] == PAGE
    assert "The organization needs an owner" in text_of(alices.get(PAGE))


def test_it_is_handed_over_and_left(alices, bob, team):
    alices.press(alices.get(PAGE), f"{PAGE}transfer", user_id=str(bob.pk))
    page = alices.get(PAGE)
    assert "bob is an owner now, and you are an admin." in text_of(page)
    assert alices.press(page, f"{PAGE}leave")["Location"] == "/organizations/"
    assert "You have left Team." in text_of(alices.get("/organizations/"))


@pytest.mark.parametrize("user_id", ["", "bob"])
def test_a_transfer_to_nobody_is_malformed(alices, team, user_id):
    assert alices.press(alices.get(PAGE), f"{PAGE}transfer", user_id=user_id).status_code == 400


def test_it_is_deleted_once_its_slug_is_typed(alices, team):
    answer = alices.press(alices.get(PAGE), f"{PAGE}delete", name="Team")
    assert (answer.status_code, "That is not its slug. Nothing was deleted." in text_of(answer)) == (400, True)
    assert Organization.objects.filter(slug="team").exists()
    alices.press(alices.get(PAGE), f"{PAGE}delete", name="team")
    assert "Team is deleted." in text_of(alices.get("/organizations/"))


def test_what_is_in_it_is_named_before_it_can_be_deleted(alice, alices, team):
    machine = make_machine(alice, "studio")
    page = alices.get(PAGE)
    type(machine).objects.update(organization=team)
    assert "Team still has 1 workspace." in text_of(alices.get(PAGE))
    alices.press(page, f"{PAGE}delete", name="team")
    assert "is not empty: it has 1 workspace. Remove that first." in text_of(alices.get(PAGE))


def test_a_name_turns_no_words_around_it(alice, alices):
    made = make_organization(alice, "team")
    Organization.objects.filter(pk=made.pk).update(name="<script>alert(1)</script>")
    assert "<script>alert" not in alices.get(PAGE).content.decode()


def test_its_page_takes_as_many_queries_for_many_members_as_for_one(alice, alices, django_assert_num_queries):
    made = make_organization(alice, "team")
    alices.get(PAGE)
    # Session, person and browser, which is noted (4, with a savepoint's 2); membership, active one, members,
    # invitations, and three kinds of contents; a savepoint's 2.
    with django_assert_num_queries(14) as captured:
        alices.get(PAGE)
    for number in range(4):
        add_to(made, User.objects.create_user(username=f"person-{number}"))
        invite(made, f"invited-{number}@example.com", by=alice)
    with django_assert_num_queries(len(captured)):
        alices.get(PAGE)


# --- invitations --------------------------------------------------------------------------------


def test_the_link_is_on_the_page_that_follows_and_never_again(alices, team, settings):
    answer = alices.press(alices.get(PAGE), f"{PAGE}invitations", email="new@example.com", role="admin")
    token = re.search(r"/invitations/\?link=(\w{64})", answer.content.decode()).group(1)
    assert invitations.find_by_link(token=token, now=timezone.now()).email == "new@example.com"
    page = alices.get(PAGE)
    assert token not in page.content.decode()
    assert "new@example.com as an admin" in text_of(page)
    assert token not in str(alices.client.cookies)
    alices.press(page, f"{PAGE}invitations/{Invitation.objects.get().pk}/withdraw")
    assert "new@example.com is no longer invited." in text_of(alices.get(PAGE))


def test_with_mail_there_is_no_link_to_pass_on(alices, team, settings, mailoutbox):
    settings.MAIL_IS_CONFIGURED = True
    answer = alices.press(alices.get(PAGE), f"{PAGE}invitations", email="new@example.com", role="member")
    assert (answer.status_code, len(mailoutbox)) == (302, 1)
    assert "A mail with the invitation is on its way to new@example.com." in text_of(alices.get(PAGE))


def test_what_is_no_address_is_told_so(alices, team):
    alices.press(alices.get(PAGE), f"{PAGE}invitations", email="new", role="member")
    assert "email: This is not an e-mail address." in text_of(alices.get(PAGE))


def test_whoever_is_invited_sees_by_whom_and_as_what_and_decides(alice, charlie, charlies, team):
    made = invite(team, verified(charlie).email, by=alice, role="admin").invitation
    page = charlies.get("/organizations/")
    assert "Team alice invites you as an admin." in text_of(page)
    answer = charlies.press(page, f"/invitations/{made.pk}/accept")
    assert answer["Location"] == PAGE
    assert "You are an admin of Team, and work in it now." in text_of(charlies.get(PAGE))
    assert active(charlies, charlie) == "team"
    assert charlies.get(f"/invitations/{made.pk}/accept").status_code == 405


def test_an_invitation_is_declined(alice, charlie, charlies, team):
    made = invite(team, verified(charlie).email, by=alice).invitation
    charlies.press(charlies.get("/organizations/"), f"/invitations/{made.pk}/decline")
    assert "You have declined alice's invitation to Team." in text_of(charlies.get("/organizations/"))


def test_the_link_shows_it_to_whom_it_is_for_with_both_buttons(alice, charlie, charlies, team):
    made = invite(team, verified(charlie).email, by=alice)
    page = charlies.get("/invitations/", link=made.link.partition("=")[2])
    assert "Join Team ?" in text_of(page)
    assert buttons(page) == {f"/invitations/{made.invitation.pk}/{word}" for word in ("accept", "decline")}


def test_whoever_signs_in_with_another_address_is_told_with_which_to(alice, bobs, team):
    made = invite(team, "charlie@example.com", by=alice)
    page = bobs.get("/invitations/", link=made.link.partition("=")[2])
    assert "This invitation is for c…@example.com" in text_of(page)
    assert "charlie@example.com" not in page.content.decode()
    assert buttons(page) == set()


@pytest.mark.parametrize("link", ["", "0" * 64, "x" * 5000, "é"])
def test_a_link_that_leads_to_none_says_so(alices, link):
    page = alices.get("/invitations/", link=link)
    assert (page.status_code, "This invitation is over" in text_of(page)) == (404, True)


def test_the_link_asks_to_sign_in_first_and_leads_back(browser, team):
    answer = browser.get("/invitations/", link="0" * 64)
    assert answer["Location"] == f"/auth/sign-in?next=/invitations/%3Flink%3D{'0' * 64}"
