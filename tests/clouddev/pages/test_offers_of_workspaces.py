"""Offers on the pages of workspaces: who is asked, who asked, and what pressing does."""

import pytest

from clouddev.models import Machine
from tests.accounts.browsing import text_of
from tests.clouddev.builders import make_machine, make_offer
from tests.clouddev.pages.workspaces import LIST, page_of

pytestmark = pytest.mark.django_db
State = Machine.State


def offers_of(browser):
    """What a person reads of what they are offered."""
    return text_of(browser.get(LIST)).partition("Offered to you ")[2].partition(" Accept only from people you know")[0]


def decide(browser, offer, action):
    """Press the offer's button on the list, and follow to what the person reads then."""
    answer = browser.press(browser.get(LIST), f"{LIST}offers/{offer.pk}/{action}")
    return text_of(browser.get(answer["Location"]) if answer.status_code == 302 else answer)


@pytest.mark.parametrize(
    ("kind", "role", "words"),
    [
        ("member", "member", "lets you use it, as a member."),
        ("member", "owner", "lets you use it, as an owner who decides about it, too."),
        ("transfer", "owner", "wants to make it yours: it then counts as your workspace, and you decide about it."),
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
    assert "You have 1 workspace, which is the most you may have." in decide(charlies, offer, "accept")
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
