"""/workspaces/: the list of machines, without JavaScript. bob is a member, charlie is nobody there."""

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.models import Machine
from clouddev.services import kept_env
from tests.accounts.browsing import text_of
from tests.clouddev.builders import add_member, make_failed, make_machine
from tests.clouddev.pages.workspaces import LIST, page_of, press

pytestmark = pytest.mark.django_db
STATES = "/workspaces/states"
State = Machine.State
FAILURE = "Fly has no room for the workspace in iad and near it. Try again in some minutes."


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
    make_machine(alice, "studio", state=State.CREATING, step="Making the workspace in iad…")
    page = alices.get(LIST)
    assert "studio Creating iad" in text_of(page)
    assert "Making the workspace in iad…" in text_of(page)
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
        (State.UNDOING, "The workspace of this name is being removed. Please try again in a minute."),
    ],
)
def test_a_second_try_says_how_it_is(alices, alice, sandbox, state, sentence):
    machine = make_failed(alice)
    page = alices.get(page_of(machine))
    Machine.objects.update(state=state, ready_at=timezone.now(), **kept_env.ERASED)
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
