"""/workspaces/{id}/: one workspace's page, without JavaScript. bob is a member, charlie is nobody there."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine, Member, Offer, WebhookToken
from clouddev.services.members import AFTER_REMOVAL
from tests.accounts.browsing import form_of, text_of
from tests.clouddev.builders import make_machine, make_webhook_token
from tests.clouddev.pages.workspaces import LIST, has_form, page_of, press

pytestmark = pytest.mark.django_db
State = Machine.State
FAILURE = "Fly has no room for the workspace in iad and near it. Try again in some minutes."


# --- one workspace -------------------------------------------------------------------------------


def test_the_page_says_where_and_whose_it_is(bobs, studio):
    text = text_of(bobs.get(page_of(studio)))
    for words in (studio.url, "Region iad", "Belongs to alice", studio.database_schema, studio.dev_user):
        assert words in text


def test_a_member_is_offered_nothing_that_only_owners_may(alices, bobs, studio, bob):
    make_webhook_token(studio, bob)
    owners, members = alices.get(page_of(studio)), bobs.get(page_of(studio))
    for action in ("destroy", "members", "members/remove", "transfer", "keep-alive", "try-again"):
        assert (has_form(owners, f"{page_of(studio)}{action}"), has_form(members, f"{page_of(studio)}{action}")) == (
            True,
            False,
        )
    assert ("Webhook tokens" in text_of(owners), "Webhook tokens" in text_of(members)) == (True, False)
    assert not has_form(bobs.get(LIST), f"{page_of(studio)}destroy")


@pytest.mark.parametrize(
    "action", ["destroy", "members", "members/remove", "transfer", "keep-alive", "try-again", "tokens/{}/revoke"]
)
def test_what_only_owners_may_is_not_there_for_others(bobs, charlies, studio, action):
    token = make_webhook_token(studio, studio.owner)
    fields = {"name": "studio", "login": "bob"}
    path = f"{page_of(studio)}{action.format(token.pk)}"
    for browser in (bobs, charlies):
        form = form_of(browser.get("/account/apps"), "/auth/sign-out")
        answer = browser.client.post(path, {**form, **fields})
        absent = browser.client.post(path.replace(str(studio.pk), str(uuid.uuid4())), {**form, **fields})
        assert (answer.status_code, absent.status_code) == (404, 404)
        assert text_of(answer) == text_of(absent)
    assert Machine.objects.get().state == State.READY
    assert set(studio.members.values_list("user__username", "role")) == {("alice", "owner"), ("bob", "member")}
    assert WebhookToken.objects.get().revoked_at is None


@pytest.mark.parametrize("action", ["", "start", "stop"])
def test_a_stranger_finds_no_more_than_somebody_who_made_the_address_up(charlies, studio, action):
    form = form_of(charlies.get("/account/apps"), "/auth/sign-out")
    for path in (f"{page_of(studio)}{action}", f"{LIST}{uuid.uuid4()}/{action}"):
        answer = charlies.client.post(path, form) if action else charlies.get(path)
        assert answer.status_code == 404
        assert "You have no such workspace" in text_of(answer)


# --- members -------------------------------------------------------------------------------------


def test_an_owner_offers_it_to_somebody_who_is_known_here(alices, charlies, studio, charlie):
    text = press(alices, studio, "members", login=" @charlie ", role="member")
    assert "charlie has to accept first: the offer to use “studio” as a member waits for them at" in text
    assert not studio.members.filter(user=charlie).exists()
    assert "charlie may use it, as a member, once they accept." in text
    assert "charlie may use studio , as a member, once they accept." in text_of(alices.get(LIST))


def test_somebody_unknown_is_not_added_and_the_page_says_what_they_must_do(alices, studio):
    assert "Ask them to sign in once." in press(alices, studio, "members", login="nobody-here", role="member")
    assert studio.members.count() == 2


def test_an_owner_makes_a_member_an_owner_and_back(alices, studio, bob):
    press(alices, studio, "members", login="bob", role="owner")
    assert studio.members.get(user=bob).role == "owner"
    assert "bob owner" in text_of(alices.get(LIST))
    press(alices, studio, "members", login="bob", role="member")
    assert studio.members.get(user=bob).role == "member"


def test_removing_somebody_says_before_and_after_what_they_still_hold(alices, bobs, studio):
    held = "An SSH key that they have fetched opens the workspace as long as it exists."
    assert AFTER_REMOVAL.endswith(held)
    assert AFTER_REMOVAL in text_of(alices.get(page_of(studio)))
    assert f"bob is no longer a member. {AFTER_REMOVAL}" in press(alices, studio, "members/remove")
    assert bobs.get(page_of(studio)).status_code == 404


def test_whose_machine_it_is_cannot_be_removed(alices, studio):
    assert "make somebody else an owner first" in press(alices, studio, "members/remove", login="alice")
    assert studio.members.filter(user__username="alice").exists()


def test_a_second_owner_who_removes_themselves_is_led_to_the_list(bobs, studio, bob):
    studio.members.filter(user=bob).update(role=Member.Role.OWNER)
    page = bobs.get(page_of(studio))
    answer = bobs.press(page, f"{page_of(studio)}members/remove", login="bob")
    assert answer["Location"] == LIST


def test_a_transfer_makes_it_somebody_elses_once_they_accept_and_the_one_before_stays_a_member(
    alices, bobs, studio, alice, bob
):
    text = press(alices, studio, "transfer", login="bob")
    assert "bob has to accept first: the offer to take “studio” over waits for them at" in text
    assert Machine.objects.get().owner_id == alice.pk
    offer = Offer.objects.get()
    answer = bobs.press(bobs.get(LIST), f"{LIST}offers/{offer.pk}/accept")
    assert "studio is yours now." in text_of(bobs.get(answer["Location"]))
    assert Machine.objects.get().owner_id == bob.pk
    assert has_form(bobs.get(page_of(studio)), f"{page_of(studio)}destroy")
    assert not has_form(alices.get(page_of(studio)), f"{page_of(studio)}destroy")


# --- keeping, tokens, destroying -----------------------------------------------------------------


def test_an_owner_keeps_it_alive_for_a_while_and_lets_go(alices, studio):
    assert "Kept alive until" in press(alices, studio, "keep-alive", hours="24")
    until = Machine.objects.get().keep_alive_until
    assert until is not None
    assert abs(until - timezone.now() - timedelta(days=1)) < timedelta(minutes=1)
    assert "Kept alive until" not in press(alices, studio, "keep-alive", hours="")
    assert Machine.objects.get().keep_alive_until is None


@pytest.mark.parametrize("hours", ["1000000", "-1", "x", "\uff12\uff14"])
def test_no_other_time_can_be_asked_for(alices, studio, hours):
    page = alices.get(page_of(studio))
    assert alices.press(page, f"{page_of(studio)}keep-alive", hours=hours).status_code == 400
    assert Machine.objects.get().keep_alive_until is None


def test_an_owner_sees_webhook_tokens_and_revokes_one(alices, alice, bob, studio):
    token = make_webhook_token(studio, bob)
    over = make_webhook_token(studio, bob, expires_at=timezone.now() - timedelta(days=1))
    page = text_of(alices.get(page_of(studio)))
    assert (str(token.pk)[:8] in page, str(over.pk)[:8] in page) == (True, False)
    assert "any other takes it until it expires." in press(alices, studio, f"tokens/{token.pk}/revoke")
    assert WebhookToken.objects.get(pk=token.pk).revoked_at is not None
    assert AuditEvent.objects.get(action="webhook_token.revoked").actor_id == alice.pk


def test_a_token_of_another_workspace_is_not_revoked_here(alices, bob, studio):
    others = make_webhook_token(make_machine(bob, "blog"), bob)
    own = make_webhook_token(studio, bob)
    page = alices.get(page_of(studio))
    form = form_of(page, f"{page_of(studio)}tokens/{own.pk}/revoke")
    answer = alices.client.post(f"{page_of(studio)}tokens/{others.pk}/revoke", form)
    assert answer.status_code == 404
    assert WebhookToken.objects.get(pk=others.pk).revoked_at is None


@pytest.mark.parametrize("name", ["", "STUDIO", "studi", "blog"])
def test_another_name_than_its_own_destroys_nothing(alices, studio, name):
    text = press(alices, studio, "destroy", name=name)
    assert "That is not the name of this workspace. Nothing was destroyed." in text
    assert Machine.objects.get().state == State.READY


def test_its_name_destroys_it(alices, alice, studio):
    assert "studio is being destroyed." in press(alices, studio, "destroy", name="studio")
    assert Machine.objects.get().state == State.DESTROYING
    assert AuditEvent.objects.get(action="machine.destroyed").actor_id == alice.pk
    page = alices.get(page_of(studio))
    assert "Being destroyed" in text_of(page)
    assert [has_form(page, f"{page_of(studio)}{action}") for action in ("destroy", "members", "transfer")] == [
        False
    ] * 3


def test_one_that_failed_can_be_destroyed_too(alices, alice):
    machine = make_machine(alice, "studio", state=State.FAILED, error=FAILURE)
    assert "studio is being destroyed." in press(alices, machine, "destroy", name="studio")
