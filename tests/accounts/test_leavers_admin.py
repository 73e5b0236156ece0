"""The operators' page of leavers: who, why, what ended, what is still to do, and what they decide."""

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone

from accounts.models import AuditEvent, Departure, User
from accounts.services import provider_looks
from tests.accounts.browsing import text_of
from tests.accounts.leaving import TEAM, a_list, inside, known, look
from tests.clouddev.builders import make_machine
from tests.conftest import token_of
from tests.deployments.builders import make_deployment
from tests.operators import make_departure

pytestmark = pytest.mark.django_db
LEAVERS = "/admin/accounts/departure/"


@pytest.fixture
def bob(sandbox, settings):
    """bob, who has left."""
    a_list(settings, organizations=TEAM)
    sandbox.github_organization(TEAM, members=["alice", "charlie", "crayon-bot"])
    for login in ("alice", "bob", "charlie"):
        known(login)
    bob = User.objects.get(username="bob")
    token_of(bob)
    make_machine(bob, "studio")
    make_deployment(bob, "shop")
    look()
    return bob


def press(operators, action):
    departure = Departure.objects.latest("left_at")
    answer = operators.post(f"{LEAVERS}{departure.pk}/{action}/")
    departure.refresh_from_db()
    return [str(message) for message in get_messages(answer.wsgi_request)][-1], departure


@pytest.mark.parametrize("page", ["list", "one"])
def test_the_page_says_who_left_why_what_ended_and_what_is_still_to_do(operators, bob, page):
    path = LEAVERS if page == "list" else f"{LEAVERS}{Departure.objects.get().pk}/change/"
    text = text_of(operators.get(path))
    for words in (
        "Bob",
        f"They are no member of {TEAM} at GitHub.",
        "workspaces that run: 1",
        "the app shop goes on at Fly",
        "the workspace studio is to be stopped",
    ):
        assert words in text


def test_restoring_lets_them_in_until_the_next_look(operators, operator, bob):
    said, departure = press(operators, "restore_one")
    assert said == "Bob is restored."
    assert (departure.outcome, departure.closed_by) == ("restored", operator)
    assert "bob" in inside()
    assert look().suspended == 1


def test_who_was_wrongly_out_stays_until_the_policy_is_to_be_asked_again(operators, operator, bob):
    said, departure = press(operators, "wrong_one")
    assert (said, departure.outcome) == ("Bob is restored, and stays.", "mistake")
    event = AuditEvent.objects.get(action="user.spared")
    assert (event.actor_id, event.target_id) == (operator.pk, str(bob.pk))
    assert look().suspended == 0
    said, departure = press(operators, "ask_again_one")
    assert (said, departure.outcome) == ("The policy is asked about Bob again.", "restored")
    assert look().suspended == 1


def test_a_departure_that_is_decided_is_not_decided_again(operators, bob):
    press(operators, "restore_one")
    for action in ("restore_one", "wrong_one"):
        assert press(operators, action)[0] == "Bob was not out for this any more."
    assert press(operators, "ask_again_one")[0] == "The policy was asked about Bob anyway."


def test_restoring_on_the_persons_own_page_closes_it_too(operators, bob):
    operators.post(f"/admin/accounts/user/{bob.pk}/restore_one/")
    assert (Departure.objects.get().outcome, "bob" in inside()) == ("restored", True)


def test_the_page_and_the_front_page_say_that_leavers_go_unnoticed(operators, bob):
    assert "Leavers 1 out for not fitting" in text_of(operators.get("/admin/"))
    for _ in range(3):
        provider_looks.failed(provider_looks.GITHUB, "GitHub can't be reached.", now=timezone.now())
    text = text_of(operators.get(LEAVERS))
    assert "GitHub: failed 3 times in a row" in text
    assert "GitHub can't be reached. Nobody is shut out for it" in text
    assert "Leavers 1 not looked for: GitHub fails" in text_of(operators.get("/admin/"))


def test_an_empty_page_says_what_it_is_for(operators, alice):
    text = text_of(operators.get(LEAVERS))
    assert "Nobody has left." in text
    assert "The sign-up policy is no list, so nobody is asked about." in text
    make_departure(alice, outcome="back")
    assert "came back" in text_of(operators.get(LEAVERS))
