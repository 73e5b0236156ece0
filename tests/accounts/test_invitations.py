"""Invitations: for a verified e-mail address, for seven days, accepted once and by consent; their links are secrets."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import AuditEvent, Invitation, Membership, Organization, User
from accounts.services import invitations, users
from accounts.services.access import AccessEnded
from accounts.services.invitations import NoSuchInvitation
from core import rate_limits
from core.crypto import digest
from tests.accounts.browsing import Browser
from tests.accounts.organization_builders import add_to, invite, make_organization, verified
from tests.accounts.threads import at_once
from tests.conftest import APIClient, make_person, token_of

pytestmark = pytest.mark.django_db
NOBODYS = (404, {"error": NoSuchInvitation.default})


@pytest.fixture
def team(alice: User) -> Organization:
    return make_organization(alice, "team")


@pytest.fixture
def invited(alice: User, bob: User, team: Organization) -> Invitation:
    """bob's invitation, which he can accept."""
    return invite(team, verified(bob).email, by=alice).invitation


@pytest.fixture
def mail_is_configured(settings: Any) -> None:
    settings.MAIL_IS_CONFIGURED, settings.DEFAULT_FROM_EMAIL = True, "crayon@example.com"


def told(answer):
    return answer.status_code, answer.json()


def accept(api, invitation):
    return api.post(f"/api/invitations/{invitation.pk}/accept")


def is_member(user):
    return Membership.objects.filter(user=user, organization__slug="team").exists()


# --- inviting -----------------------------------------------------------------------------------


def test_an_invitation_without_mail_has_a_link_that_is_told_once(alice, team, alice_api, settings):
    answer = alice_api.post("/api/orgs/team/invitations", {"email": " Bob@Example.com ", "role": "admin"})
    made = Invitation.objects.get()
    link = answer.json()["link"]
    assert told(answer) == (
        201,
        {
            "id": str(made.pk),
            "expiresAt": made.expires_at.isoformat(),
            "mailed": False,
            "link": link,
        },
    )
    assert (made.email, made.role, made.made_by, made.organization) == ("bob@example.com", "admin", alice, team)
    assert made.expires_at - made.created_at == timedelta(days=7)
    token = link.removeprefix(f"{settings.PUBLIC_URL}/invitations/?link=")
    assert len(token) == 64
    assert bytes(made.digest) == digest(token)
    listed = alice_api.get("/api/orgs/team/invitations")
    assert token not in listed.content.decode()
    assert listed.json() == [
        {
            "id": str(made.pk), "email": "bob@example.com", "role": "admin", "invitedBy": "alice",
            "invitedAt": made.created_at.isoformat(), "expiresAt": made.expires_at.isoformat(),
        }
    ]  # fmt: skip


def test_with_mail_the_link_is_mailed_and_told_to_nobody_else(team, alice_api, mail_is_configured):
    answer = alice_api.post("/api/orgs/team/invitations", {"email": "bob@example.com"})
    assert set(answer.json()) == {"id", "expiresAt", "mailed"}
    assert answer.json()["mailed"] is True
    (message,) = mail.outbox
    assert (message.to, message.from_email) == (["bob@example.com"], "crayon@example.com")
    assert message.subject == "alice invites you to team"
    token = message.body.partition("link=")[2].split()[0]
    assert bytes(Invitation.objects.get().digest) == digest(token)


def test_a_mail_says_nothing_that_people_wrote(alice, alice_api, mail_is_configured):
    Organization.objects.filter(pk=make_organization(alice, "team").pk).update(name="Claim it at https://evil.example")
    User.objects.filter(pk=alice.pk).update(name="Your bank")
    alice_api.post("/api/orgs/team/invitations", {"email": "bob@example.com"})
    (message,) = mail.outbox
    assert not {"evil", "bank"} & set((message.subject + message.body).lower().replace("/", " ").split())


def test_where_the_mail_server_fails_the_link_is_told(team, alice_api, mail_is_configured, monkeypatch, caplog):
    def fail(*_arguments):
        raise smtplib.SMTPServerDisconnected("bob@example.com")

    monkeypatch.setattr(mail.EmailMessage, "send", fail)
    answer = alice_api.post("/api/orgs/team/invitations", {"email": "bob@example.com"}).json()
    assert (answer["mailed"], "link" in answer) == (False, True)
    assert "SMTPServerDisconnected" in caplog.text
    assert "bob@" not in caplog.text
    assert answer["link"].partition("=")[2] not in caplog.text


def test_one_address_gets_five_mails_a_day_and_then_the_link_is_told(team, alice_api, mail_is_configured):
    rate_limits.forget_all()
    mailed = [
        alice_api.post("/api/orgs/team/invitations", {"email": "bob@example.com"}).json()["mailed"] for _ in range(6)
    ]
    assert (mailed, len(mail.outbox)) == ([True] * 5 + [False], 5)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "email: This field is required."),
        ({"email": "bob"}, "email: This is not an e-mail address."),
        ({"email": "bob@example.com\nBcc: x@example.com"}, "email: This is not an e-mail address."),
        ({"email": f"{'x' * 250}@example.com"}, "email: This is not an e-mail address."),
        ({"email": "bob@example.com", "role": "boss"}, 'role: "boss" is not a valid choice.'),
    ],
)
def test_it_refuses_what_is_malformed(team, alice_api, body, sentence):
    assert told(alice_api.post("/api/orgs/team/invitations", body)) == (400, {"error": sentence})


def test_an_admin_invites_no_owner_and_a_member_nobody(team, bob, charlie, bob_api, charlie_api):
    add_to(team, bob, "admin")
    add_to(team, charlie)
    body = {"email": "new@example.com", "role": "admin"}
    assert bob_api.post("/api/orgs/team/invitations", body).status_code == 201
    refused = bob_api.post("/api/orgs/team/invitations", {**body, "role": "owner"})
    assert told(refused) == (403, {"error": "Only an owner may invite somebody as an owner. Ask one of them."})
    for answer in (charlie_api.post("/api/orgs/team/invitations", body), charlie_api.get("/api/orgs/team/invitations")):
        assert answer.status_code == 403


def test_nobody_is_invited_to_a_personal_organization(alice_api):
    answer = alice_api.post("/api/orgs/alice/invitations", {"email": "bob@example.com"})
    assert answer.status_code == 409


def test_whoever_invites_is_not_told_who_is_known_here(team, bob, alice_api):
    verified(bob)
    known = alice_api.post("/api/orgs/team/invitations", {"email": "bob@example.com"})
    unknown = alice_api.post("/api/orgs/team/invitations", {"email": "new@example.com"})
    assert (known.status_code, set(known.json())) == (unknown.status_code, set(unknown.json()))


def test_a_member_is_not_invited_again(team, bob, alice_api):
    add_to(team, verified(bob))
    answer = alice_api.post("/api/orgs/team/invitations", {"email": "BOB@example.com"})
    assert told(answer) == (409, {"error": "Whoever has this e-mail address is a member of the organization already."})


def test_inviting_again_takes_the_place_of_what_was_before(alice, team, bob, alice_api):
    first = invite(team, verified(bob).email, by=alice)
    second = invite(team, bob.email, by=alice, role="admin")
    assert list(Invitation.objects.waiting(timezone.now())) == [second.invitation]
    with pytest.raises(NoSuchInvitation):
        invitations.find_by_link(token=first.link.partition("=")[2], now=timezone.now())


def test_a_hundred_wait_at_most(alice, team, alice_api, monkeypatch):
    monkeypatch.setattr(invitations, "MOST_WAITING", 2)
    for number in range(2):
        invite(team, f"person-{number}@example.com", by=alice)
    assert alice_api.post("/api/orgs/team/invitations", {"email": "new@example.com"}).status_code == 409
    # One in another's place is no further one.
    assert alice_api.post("/api/orgs/team/invitations", {"email": "person-1@example.com"}).status_code == 201


def test_a_person_invites_thirty_times_an_hour(team, alice_api):
    rate_limits.forget_all()
    statuses = [
        alice_api.post("/api/orgs/team/invitations", {"email": "new@example.com"}).status_code for _ in range(31)
    ]
    assert (set(statuses[:30]), statuses[30]) == ({201}, 429)


# --- deciding -----------------------------------------------------------------------------------


def test_whoever_it_is_for_sees_it_and_nobody_else_does(bob_api, charlie, charlie_api, alice_api, invited):
    verified(charlie)
    assert bob_api.get("/api/invitations").json() == [
        {
            "id": str(invited.pk), "organization": {"name": "Team", "slug": "team"}, "role": "member",
            "invitedBy": "alice", "invitedAt": invited.created_at.isoformat(),
            "expiresAt": invited.expires_at.isoformat(),
        }
    ]  # fmt: skip
    assert (charlie_api.get("/api/invitations").json(), alice_api.get("/api/invitations").json()) == ([], [])


def test_accepting_makes_a_member_once(bob, bob_api, invited):
    assert not is_member(bob)
    assert told(accept(bob_api, invited)) == (
        200,
        {"organization": "team", "role": "member"},
    )
    assert is_member(bob)
    event = AuditEvent.objects.get(action="invitation.accepted")
    assert (event.actor_id, event.organization_id) == (bob.pk, invited.organization_id)
    Membership.objects.filter(user=bob, organization__slug="team").delete()
    assert told(accept(bob_api, invited)) == NOBODYS
    assert not is_member(bob)


def test_declining_ends_it(bob, bob_api, invited):
    assert told(bob_api.post(f"/api/invitations/{invited.pk}/decline")) == (200, {"status": "declined"})
    assert told(accept(bob_api, invited)) == NOBODYS
    assert AuditEvent.objects.filter(action="invitation.declined", actor_id=bob.pk).exists()


def test_withdrawing_ends_it(bob, bob_api, alice_api, invited):
    path = f"/api/orgs/team/invitations/{invited.pk}"
    assert told(alice_api.request("DELETE", path)) == (200, {"status": "withdrawn"})
    assert told(accept(bob_api, invited)) == NOBODYS
    assert alice_api.request("DELETE", path).status_code == 404
    assert AuditEvent.objects.filter(action="invitation.withdrawn").count() == 1


def test_it_is_for_seven_days(bob, invited):
    late = invited.created_at + timedelta(days=7)
    with pytest.raises(NoSuchInvitation):
        invitations.accept(invitation_id=invited.pk, person=bob, now=late)
    invitations.accept(invitation_id=invited.pk, person=bob, now=late - timedelta(seconds=1))
    assert is_member(bob)


def test_somebody_elses_looks_absent(charlie, charlie_api, invited):
    verified(charlie)
    for deed in ("accept", "decline"):
        absent = charlie_api.post(f"/api/invitations/00000000-0000-4000-8000-00000000cccc/{deed}")
        strange = charlie_api.post(f"/api/invitations/{invited.pk}/{deed}")
        assert told(strange) == told(absent) == NOBODYS


@pytest.mark.parametrize("whose", ["typed by an operator", "unverified", "another's", "none"])
def test_an_address_that_is_not_known_to_be_theirs_opens_nothing(alice, team, charlie, charlie_api, whose):
    made = invite(team, charlie.email, by=alice).invitation
    if whose == "unverified":
        verified(charlie).emailaddress_set.update(verified=False)
    if whose == "another's":
        verified(charlie).emailaddress_set.update(email="another@example.com")
    if whose == "none":
        User.objects.filter(pk=charlie.pk).update(email="", github_id=7)
    assert told(accept(charlie_api, made)) == NOBODYS


def test_githubs_word_for_an_address_is_enough(alice, team, charlie, charlie_api):
    User.objects.filter(pk=charlie.pk).update(github_id=7)
    assert accept(charlie_api, invite(team, charlie.email, by=alice).invitation).status_code == 200


def test_two_spellings_of_other_letters_are_two_addresses(alice, team, charlie, charlie_api):
    # The Kelvin sign, which `lower` makes a k.
    User.objects.filter(pk=charlie.pk).update(github_id=7, email="mi\u212ae@example.com")
    made = invite(team, "mike@example.com", by=alice).invitation
    assert told(accept(charlie_api, made)) == NOBODYS
    User.objects.filter(pk=charlie.pk).update(email="MIKE@Example.com")
    assert accept(charlie_api, made).status_code == 200


@pytest.mark.parametrize("way", ["suspended", "signed out", "removed", "demoted", "organization suspended"])
def test_it_ends_when_whoever_made_it_may_not_any_more(alice, bob, bob_api, charlie, team, way):
    add_to(team, charlie, "admin")
    made = invite(team, verified(bob).email, by=charlie).invitation
    memberships = Membership.objects.filter(user=charlie, organization=team)
    match way:
        case "suspended":
            users.suspend(user=charlie, by=None)
            users.restore(user=charlie, by=None)
        case "signed out":
            users.revoke_everything(user=charlie, by=charlie, now=timezone.now())
        # In the database alone, as at the same moment.
        case "removed":
            memberships.delete()
        case "demoted":
            memberships.update(role="member")
        case _:
            Organization.objects.filter(pk=team.pk).update(suspended_at=timezone.now())
    assert bob_api.get("/api/invitations").json() == []
    assert told(accept(bob_api, made)) == NOBODYS


def test_an_owners_invitation_is_none_once_its_maker_is_an_admin(alice, bob, bob_api, team):
    made = invite(team, verified(bob).email, by=alice, role="owner").invitation
    Membership.objects.filter(user=alice, organization=team).update(role="admin")
    assert told(accept(bob_api, made)) == NOBODYS


def test_whoever_became_a_member_meanwhile_stays_what_they_are(bob, bob_api, invited, team):
    add_to(team, bob, "admin")
    assert accept(bob_api, invited).json()["role"] == "admin"


def test_somebody_whose_access_ended_meanwhile_accepts_nothing(bob, invited):
    bob.access_epoch += 1
    with pytest.raises(AccessEnded):
        invitations.accept(invitation_id=invited.pk, person=bob, now=timezone.now())
    assert not is_member(bob)


@pytest.mark.parametrize("action", ["accept", "decline"])
def test_each_decision_is_written_down_without_the_link(alice, bob, team, action, bob_api):
    made = invite(team, verified(bob).email, by=alice)
    bob_api.post(f"/api/invitations/{made.invitation.pk}/{action}")
    token = made.link.partition("=")[2]
    rows = list(AuditEvent.objects.filter(action__startswith="invitation.").values())
    assert {row["organization_id"] for row in rows} == {team.pk}
    assert token not in str(rows)
    assert token not in repr(made)


# --- at once ------------------------------------------------------------------------------------


def _tried(do):
    try:
        do()
    except NoSuchInvitation:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("others", ["accept", "decline", "withdraw"])
def test_of_what_happens_to_one_at_once_one_thing_counts(alice, bob, others):
    verified(bob)
    for number in range(4):
        made = make_organization(alice, f"team-{number}")
        invitation = invite(made, bob.email, by=alice).invitation
        asked = {"invitation_id": invitation.pk, "now": timezone.now()}
        do = {
            "accept": lambda asked=asked: invitations.accept(person=bob, **asked),
            "decline": lambda asked=asked: invitations.decline(person=bob, **asked),
            "withdraw": lambda asked=asked, made=made: invitations.withdraw(slug=made.slug, person=alice, **asked),
        }
        ways = [do["accept"], do[others], do["accept"], do[others]]
        outcomes = at_once(*[lambda way=way: _tried(way) for way in ways])
        assert outcomes.count(True) == 1
        accepted = outcomes[0] or outcomes[2] or (others == "accept" and True in outcomes)
        assert made.memberships.filter(user=bob).exists() == accepted
        invitation.refresh_from_db()
        assert (invitation.state == "accepted") == accepted
        assert AuditEvent.objects.filter(target_id=str(invitation.pk)).count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_several_made_to_one_address_at_once_one_waits(alice):
    made = make_organization(alice, "team")
    at_once(*[lambda: invite(made, "bob@example.com", by=alice) for _ in range(6)])
    assert made.invitations.waiting(timezone.now()).count() == 1
    assert made.invitations.count() == 6


# --- from sign-up to membership -----------------------------------------------------------------


def test_somebody_new_comes_by_the_link_signs_up_and_accepts(github, alice):
    made = invite(make_organization(alice, "team"), "bob@example.com", by=alice)
    path = f"/invitations/?link={made.link.partition('=')[2]}"
    browser = Browser()
    asked = browser.get(path)
    assert asked.status_code == 302
    answer = browser.sign_in("bob", next_path=path)
    assert answer["Location"] == path
    page = browser.get(path)
    accepted = browser.press(page, f"/invitations/{made.invitation.pk}/accept")
    assert accepted["Location"] == "/organizations/team/"
    person = User.objects.get(github_login="bob")
    assert Membership.objects.get(user=person, organization__slug="team").role == "member"


def test_it_is_no_way_around_the_sign_up_policy(github, alice, settings):
    settings.SIGNUP_POLICY, settings.SIGNUP_ALLOWED_LOGINS = "allowlist", ["alice"]
    made = invite(make_organization(alice, "team"), "bob@example.com", by=alice)
    answer = Browser().sign_in("bob", next_path=f"/invitations/?link={made.link.partition('=')[2]}")
    assert answer.status_code == 403
    assert not User.objects.filter(github_login="bob").exists()


def test_old_ones_are_forgotten_a_month_after_their_end(alice, team):
    made = invite(team, "bob@example.com", by=alice).invitation
    end = made.expires_at + timedelta(days=30)
    assert invitations.forget_over(now=end - timedelta(seconds=1)) == 0
    assert invitations.forget_over(now=end) == 1


def test_listing_takes_as_many_queries_for_many_as_for_one(alice, bob, django_assert_num_queries):
    for number in range(3):
        invite(make_organization(alice, f"team-{number}"), bob.email, by=alice)
    token = token_of(verified(bob))
    APIClient(token).get("/api/invitations")
    with django_assert_num_queries(4):
        assert len(APIClient(token).get("/api/invitations").json()) == 3
    make_person("another")
