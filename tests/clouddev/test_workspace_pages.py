"""/workspaces/: the pages of machines, without JavaScript. bob is a member, charlie is nobody there."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine, Member, Offer, WebhookToken
from clouddev.services.members import AFTER_REMOVAL
from tests.accounts.browsing import Browser, form_of, text_of
from tests.clouddev.builders import add_member, make_failed, make_machine, make_offer, make_webhook_token

pytestmark = pytest.mark.django_db
LIST = "/workspaces/"
STATES = "/workspaces/states"
State = Machine.State
FAILURE = "Fly has no room for the machine in iad and near it. Try again in some minutes."


def browser_of(user):
    browser = Browser()
    browser.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def alices(alice):
    return browser_of(alice)


@pytest.fixture
def bobs(bob):
    return browser_of(bob)


@pytest.fixture
def charlies(charlie):
    return browser_of(charlie)


@pytest.fixture
def studio(alice, bob, sandbox):
    machine = make_machine(alice, "studio", sandbox=sandbox)
    add_member(machine, bob)
    return machine


def page_of(machine):
    return f"{LIST}{machine.pk}/"


def press(browser, machine, deed, **fields):
    """Send the form of the machine's page, and follow to what the person reads then."""
    action = f"{page_of(machine)}{deed}"
    answer = browser.press(browser.get(page_of(machine)), action, **fields)
    return text_of(browser.get(answer["Location"]) if answer.status_code == 302 else answer)


def has_form(page, action):
    return f'action="{action}"' in page.content.decode()


def shown_parts(page, name):
    """Whether the parts that depend on `name` are shown, in their order on the page."""
    return ["hidden" not in tail.partition(">")[0] for tail in page.content.decode().split(f'data-if="{name}"')[1:]]


# --- the list ------------------------------------------------------------------------------------


def test_every_page_leads_to_the_list(alices):
    assert f'href="{LIST}"' in alices.get("/account/apps").content.decode()
    assert alices.get("/workspaces")["Location"] == LIST


def test_who_has_no_workspace_reads_which_command_makes_one(alices):
    assert "In the folder of an app, run crayon cloud run" in text_of(alices.get(LIST))


@pytest.mark.parametrize(
    ("fly_state", "word", "start", "stop"),
    [
        ("started", "Running", False, True),
        ("stopped", "Stopped", True, False),
        ("suspended", "Suspended", True, False),
    ],
)
def test_a_card_says_how_the_machine_is_at_fly_and_offers_what_can_be_done(
    alices, alice, sandbox, fly_state, word, start, stop
):
    make_machine(alice, "studio", sandbox=sandbox, fly_state=fly_state, region="ams")
    page = alices.get(LIST)
    assert f"studio {word} ams · used " in text_of(page)
    assert (shown_parts(page, "can_start"), shown_parts(page, "can_stop")) == ([start], [stop])
    assert shown_parts(page, "can_open") == [True]


def test_a_card_of_one_that_is_being_made_says_which_step(alices, alice):
    make_machine(alice, "studio", state=State.CREATING, step="Making the machine in iad…")
    page = alices.get(LIST)
    assert "studio Creating iad" in text_of(page)
    assert "Making the machine in iad…" in text_of(page)
    assert [shown_parts(page, name) for name in ("can_open", "can_start", "can_stop")] == [[False]] * 3
    assert b'http-equiv="refresh"' in page.content


def test_a_card_of_one_that_failed_says_why_and_what_to_do(alices, alice):
    make_machine(alice, "studio", state=State.FAILED, error=FAILURE)
    page = alices.get(LIST)
    assert f"{FAILURE} Run crayon cloud run to create it again." in text_of(page)
    assert (shown_parts(page, "failed"), shown_parts(page, "can_be_made_anew")) == ([True], [True])
    assert shown_parts(page, "can_try_again") == [False]


def test_one_that_failed_a_moment_ago_can_be_tried_again_by_whoever_decides(
    alices, bobs, alice, bob, sandbox, settings
):
    settings.DATABASE_DATA_URL = "postgresql://admin:not-a-secret@127.0.0.1:9/data"
    machine = make_failed(alice, error=FAILURE)
    add_member(machine, bob)
    for path in (LIST, page_of(machine)):
        page, members = alices.get(path), bobs.get(path)
        assert FAILURE in text_of(page)
        assert (shown_parts(page, "can_try_again"), shown_parts(page, "can_be_made_anew")) == ([True], [False])
        assert (shown_parts(members, "can_try_again"), shown_parts(members, "can_be_made_anew")) == ([], [False])
    answer = alices.press(alices.get(LIST), f"{page_of(machine)}try-again")
    assert answer["Location"] == LIST
    page = alices.get(LIST)
    assert "studio is being made again." in text_of(page)
    assert "Waiting for a worker…" in text_of(page)
    assert (shown_parts(page, "failed"), shown_parts(page, "can_try_again")) == ([False], [False])


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (State.CREATING, "studio is being made already."),
        (State.READY, "studio is there."),
        (State.UNDOING, "The machine of this name is being removed. Please try again in a minute."),
    ],
)
def test_a_second_try_says_how_it_is(alices, alice, sandbox, state, sentence):
    machine = make_failed(alice)
    page = alices.get(page_of(machine))
    Machine.objects.update(state=state)
    alices.press(page, f"{page_of(machine)}try-again")
    assert sentence in text_of(alices.get(page_of(machine)))
    assert not AuditEvent.objects.filter(action="machine.create_requested").exists()


def test_one_that_is_being_undone_is_not_to_be_made_again_yet(alices, alice):
    make_machine(alice, "studio", state=State.UNDOING, error=FAILURE, step="Removing what was made…")
    page = alices.get(LIST)
    assert (shown_parts(page, "failed"), shown_parts(page, "can_be_made_anew")) == ([True], [False])
    assert "Removing what was made…" in text_of(page)


def test_when_fly_is_down_the_page_is_there_and_says_that_nobody_knows(alices, studio, sandbox):
    sandbox.faults(target="fly", status=503)
    page = alices.get(LIST)
    assert page.status_code == 200
    assert "Unknown" in text_of(page)
    assert "Fly can't say how it is right now." in text_of(page)
    assert (shown_parts(page, "can_start"), shown_parts(page, "can_stop")) == ([True], [True])


def test_a_member_sees_the_workspace_and_whose_it_is(bobs, studio):
    text = text_of(bobs.get(LIST))
    assert "iad · shared by alice · used now" in text
    assert "alice owner bob" in text


def test_others_see_nothing_of_it(charlies, studio):
    assert "studio" not in text_of(charlies.get(LIST))
    assert charlies.get(STATES).json() == {"workspaces": {}}


def test_what_somebody_has_typed_is_text_on_the_page(alices, alice):
    make_machine(alice, "studio", state=State.FAILED, error="<script>alert(1)</script>")
    assert b"<script>alert" not in alices.get(LIST).content


def test_many_workspaces_cost_no_more_questions_than_one(alices, alice, bob, sandbox, django_assert_max_num_queries):
    for number in range(12):
        add_member(make_machine(alice, f"app-{number}", sandbox=sandbox), bob)
    alices.get(LIST)
    cache.clear()
    sandbox.clear_requests()
    with django_assert_max_num_queries(10):
        assert alices.get(LIST).content.count(b"badge good") == 12
    assert len(sandbox.requests("fly")) == 1


# --- what open pages ask for ---------------------------------------------------------------------


def test_an_open_page_is_told_how_each_workspace_is(alices, alice, studio):
    failed = make_machine(alice, "blog", state=State.FAILED, error=FAILURE)
    again = make_failed(alice, "shop", error=FAILURE)
    names = ("can_open", "can_start", "can_stop", "can_try_again", "can_be_made_anew")
    nothing = dict.fromkeys(names, False)
    assert alices.get(STATES).json() == {
        "workspaces": {
            str(studio.pk): {
                **nothing, "word": "Running", "tone": "good", "sentence": "", "failed": "",
                "can_open": True, "can_stop": True,
            },
            str(failed.pk): {
                **nothing, "word": "Failed", "tone": "bad", "sentence": "", "failed": FAILURE,
                "can_be_made_anew": True,
            },
            str(again.pk): {
                **nothing, "word": "Failed", "tone": "bad", "sentence": "", "failed": FAILURE,
                "can_try_again": True,
            },
        }
    }  # fmt: skip


def test_how_workspaces_are_is_kept_by_no_cache(alices):
    assert "no-store" in alices.get(STATES)["Cache-Control"]


# --- opening, starting and stopping --------------------------------------------------------------


def test_open_leads_to_the_machine_with_a_token_at_once(alices, studio):
    link = f"/auth/dev-ui?app={studio.fly_app_id}"
    assert f'href="{link}"' in alices.get(LIST).content.decode()
    answer = alices.get(link)
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{studio.url}/dev/__auth/callback?token=ey")


def test_a_member_stops_and_starts_it(bobs, studio):
    assert "studio is stopping." in press(bobs, studio, "stop")
    assert "Stopping" in text_of(bobs.get(LIST)) or "Stopped" in text_of(bobs.get(LIST))
    assert list(AuditEvent.objects.filter(action="machine.stopped").values_list("actor_label")) == [("Bob",)]


def test_it_says_so_when_there_is_nothing_to_start(alices, studio):
    assert "studio runs already." in press(alices, studio, "start")


def test_a_button_of_the_list_leads_back_to_the_list(alices, studio):
    answer = alices.press(alices.get(LIST), f"{page_of(studio)}stop")
    assert answer["Location"] == LIST


def test_what_cannot_be_started_yet_says_why(alices, alice):
    machine = make_machine(alice, "studio", state=State.CREATING)
    assert "still being made" in press(alices, machine, "start")


def test_trouble_at_fly_is_a_sentence_and_not_a_crash(alices, studio, sandbox):
    page = alices.get(LIST)
    sandbox.faults(target="fly", status=503)
    answer = alices.press(page, f"{page_of(studio)}stop")
    assert answer.status_code == 302
    assert 'class="warning"' in alices.get(LIST).content.decode()


# --- one workspace -------------------------------------------------------------------------------


def test_the_page_says_where_and_whose_it_is(bobs, studio):
    text = text_of(bobs.get(page_of(studio)))
    for words in (studio.url, "Region iad", "Belongs to alice", studio.database_schema, studio.dev_user):
        assert words in text


def test_a_member_is_offered_nothing_that_only_owners_may(alices, bobs, studio, bob):
    make_webhook_token(studio, bob)
    owners, members = alices.get(page_of(studio)), bobs.get(page_of(studio))
    for deed in ("destroy", "members", "members/remove", "transfer", "keep-alive", "try-again"):
        assert (has_form(owners, f"{page_of(studio)}{deed}"), has_form(members, f"{page_of(studio)}{deed}")) == (
            True,
            False,
        )
    assert ("Webhook tokens" in text_of(owners), "Webhook tokens" in text_of(members)) == (True, False)
    assert not has_form(bobs.get(LIST), f"{page_of(studio)}destroy")


@pytest.mark.parametrize(
    "deed", ["destroy", "members", "members/remove", "transfer", "keep-alive", "try-again", "tokens/{}/revoke"]
)
def test_what_only_owners_may_is_not_there_for_others(bobs, charlies, studio, deed):
    token = make_webhook_token(studio, studio.owner)
    fields = {"name": "studio", "login": "bob"}
    path = f"{page_of(studio)}{deed.format(token.pk)}"
    for browser in (bobs, charlies):
        form = form_of(browser.get("/account/apps"), "/auth/sign-out")
        answer = browser.client.post(path, {**form, **fields})
        absent = browser.client.post(path.replace(str(studio.pk), str(uuid.uuid4())), {**form, **fields})
        assert (answer.status_code, absent.status_code) == (404, 404)
        assert text_of(answer) == text_of(absent)
    assert Machine.objects.get().state == State.READY
    assert set(studio.members.values_list("user__username", "role")) == {("alice", "owner"), ("bob", "member")}
    assert WebhookToken.objects.get().revoked_at is None


@pytest.mark.parametrize("deed", ["", "start", "stop"])
def test_a_stranger_finds_no_more_than_somebody_who_made_the_address_up(charlies, studio, deed):
    form = form_of(charlies.get("/account/apps"), "/auth/sign-out")
    for path in (f"{page_of(studio)}{deed}", f"{LIST}{uuid.uuid4()}/{deed}"):
        answer = charlies.client.post(path, form) if deed else charlies.get(path)
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
    held = "An SSH key that they have fetched opens the machine as long as it exists."
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
    assert [has_form(page, f"{page_of(studio)}{deed}") for deed in ("destroy", "members", "transfer")] == [False] * 3


def test_one_that_failed_can_be_destroyed_too(alices, alice):
    machine = make_machine(alice, "studio", state=State.FAILED, error=FAILURE)
    assert "studio is being destroyed." in press(alices, machine, "destroy", name="studio")


# --- offers --------------------------------------------------------------------------------------


def offers_of(browser):
    """What a person reads of what they are offered."""
    return text_of(browser.get(LIST)).partition("Offered to you ")[2].partition(" Accept only from people you know")[0]


def decide(browser, offer, deed):
    """Press the offer's button on the list, and follow to what the person reads then."""
    answer = browser.press(browser.get(LIST), f"{LIST}offers/{offer.pk}/{deed}")
    return text_of(browser.get(answer["Location"]) if answer.status_code == 302 else answer)


@pytest.mark.parametrize(
    ("kind", "role", "words"),
    [
        ("member", "member", "lets you use it, as a member."),
        ("member", "owner", "lets you use it, as an owner who decides about it, too."),
        ("transfer", "owner", "wants to make it yours: it then counts as your machine, and you decide about it."),
    ],
)
def test_who_is_offered_a_workspace_reads_by_whom_and_as_what(charlies, charlie, studio, kind, role, words):
    offer = make_offer(studio, charlie, kind, role=role)
    until = f"Until {offer.expires_at:%-d %b %Y}; nothing happens before you accept."
    assert offers_of(charlies) == f"studio alice {words} {until} Accept Decline"
    assert "You have no workspace yet." in text_of(charlies.get(LIST))


def test_who_is_offered_nothing_reads_nothing_of_offers(charlies, studio):
    text = text_of(charlies.get(LIST))
    assert ("Offered to you" in text, "Waiting for others" in text) == (False, False)
    assert "When others offer you a workspace of theirs, you can accept it here." in text


def test_who_accepts_is_led_to_the_workspace(charlies, charlie, studio):
    text = decide(charlies, make_offer(studio, charlie), "accept")
    assert "You may use studio now." in text
    assert "charlie you member" in text
    assert offers_of(charlies) == ""


def test_who_accepts_twice_reads_that_it_is_over(charlies, charlie, studio):
    offer = make_offer(studio, charlie)
    page = charlies.get(LIST)
    for status in (302, 404):
        answer = charlies.press(page, f"{LIST}offers/{offer.pk}/accept")
        assert answer.status_code == status
    assert "it was accepted, declined or withdrawn, or has expired." in text_of(answer)
    assert studio.members.filter(user=charlie).count() == 1


def test_what_cannot_be_accepted_now_says_why_and_goes_on_waiting(charlies, charlie, studio, settings):
    settings.MACHINES_PER_PERSON = 1
    make_machine(charlie, "other")
    offer = make_offer(studio, charlie, "transfer")
    assert "You have 1 machine, which is the most you may have." in decide(charlies, offer, "accept")
    assert offers_of(charlies).startswith("studio alice wants to make it yours")


def test_who_declines_is_asked_no_more(alices, charlies, charlie, studio):
    assert "You have declined alice's offer of studio." in decide(charlies, make_offer(studio, charlie), "decline")
    assert offers_of(charlies) == ""
    assert "Waiting for others" not in text_of(alices.get(LIST))


@pytest.mark.parametrize("page", ["list", "workspace"])
def test_an_owner_withdraws_an_offer_from_either_page(alices, charlies, charlie, studio, page):
    offer = make_offer(studio, charlie)
    path = LIST if page == "list" else page_of(studio)
    answer = alices.press(alices.get(path), f"{LIST}offers/{offer.pk}/withdraw")
    assert answer["Location"] == path
    assert "studio is no longer offered to charlie." in text_of(alices.get(path))
    assert offers_of(charlies) == ""


def test_members_are_not_shown_who_is_asked(bobs, charlie, studio):
    make_offer(studio, charlie)
    for path in (LIST, page_of(studio)):
        assert "charlie" not in text_of(bobs.get(path))


def test_what_others_have_called_things_is_text_in_offers(charlies, charlie, alice, studio):
    Machine.objects.update(app_name="<script>alert(1)</script>")
    make_offer(studio, charlie)
    assert b"<script>alert" not in charlies.get(LIST).content
