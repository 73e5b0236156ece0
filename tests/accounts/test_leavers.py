"""Who no longer fits the sign-up policy is out within the hour, and nobody is whose membership isn't known."""

import logging
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import tasks
from accounts.models import AuditEvent, Departure, ListedName, ProviderLook, User
from accounts.services import departures, leavers, pruning, users
from tests.accounts.leaving import IDS, TEAM, a_list, inside, known, look, many
from tests.conftest import APIClient, make_person, token_of
from tests.operators import make_departure, make_operator

pytestmark = pytest.mark.django_db
ALL = {"alice", "bob", "charlie"}


@pytest.fixture
def team(sandbox, settings):
    """alice, bob and charlie are members of the listed organization, none of them publicly."""
    a_list(settings, organizations=TEAM)
    sandbox.github_organization(TEAM, members=["alice", "bob", "charlie", "crayon-bot"])
    for login in IDS:
        known(login)
    sandbox.clear_requests()
    return sandbox


def leave(sandbox, *logins):
    sandbox.github_organization(TEAM, members=[*(ALL - set(logins)), "crayon-bot"])


def github():
    return ProviderLook.objects.get(name="GitHub")


def test_everybody_who_fits_stays_private_members_too(team):
    found = look()
    assert (found.asked, found.suspended, found.unknown, found.problem) == (3, 0, 0, "")
    assert inside() == ALL
    assert (github().failures, github().error) == (0, "")


def test_who_left_the_organization_is_out_with_the_next_look(team):
    bob = User.objects.get(username="bob")
    api = APIClient(token_of(bob))
    leave(team, "bob")
    assert api.get("/api/integrations").status_code == 200
    assert look().suspended == 1
    assert api.get("/api/integrations").status_code == 403
    assert inside() == ALL - {"bob"}
    event = AuditEvent.objects.get(action="user.left")
    why = f"They are no member of {TEAM} at GitHub."
    assert (event.actor_id, event.target_id, event.details) == (None, str(bob.pk), {"reason": why, "found_by": "look"})
    departure = Departure.objects.get()
    assert (departure.user, departure.reason, departure.found_by, departure.outcome) == (bob, why, "look", "out")
    assert departure.ended["requests under way"] == 1


def test_looking_again_changes_nothing(team):
    leave(team, "bob")
    assert [look().suspended for _ in range(2)] == [1, 0]
    assert Departure.objects.count() == AuditEvent.objects.filter(action="user.left").count() == 1


def test_a_member_who_renames_their_account_stays(team):
    team.github_person("bob", login="bob-two")
    team.github_person("someone", login="bob", orgs=[])
    assert look().suspended == 0
    assert inside() == ALL


def test_who_takes_a_members_old_login_is_nobody_here(team):
    leave(team, "bob")
    team.github_person("bob", login="bob-two")
    team.github_person("newcomer", login="bob", orgs=[TEAM])
    assert look().suspended == 1
    assert inside() == ALL - {"bob"}


FAULTS = {
    "down": {"drop": "before"},
    "failing": {"status": 500},
    "the token is revoked": {"status": 401},
    "forbidden": {"status": 403},
    "gone": {"status": 404},
    "renamed": {"status": 301},
    "too many calls": {"status": 429},
    "the limit is used up": {"status": 403, "headers": {"X-RateLimit-Remaining": "0"}},
    "an empty list": {"status": 200, "body": []},
    "no list": {"status": 200, "body": {"message": "odd"}},
    "no JSON": {"status": 200, "body": "<html>", "content_type": "text/html"},
    "half an entry": {"status": 200, "body": [{"login": "alice"}]},
    "an entry of another type": {"status": 200, "body": [{"login": "alice", "id": "1001"}]},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("where", [f"GET /orgs/{TEAM}$", f"GET /orgs/{TEAM}/members$"])
def test_whatever_goes_wrong_at_github_throws_nobody_out_however_often(team, fault, where):
    leave(team, "bob")
    team.faults(target="github", match=where, times=0, **FAULTS[fault])
    for hours in range(5):
        found = look(hours=hours)
        assert found.suspended == 0
        assert found.problem
    assert inside() == ALL
    assert (github().failures, github().is_blind, github().succeeded_at) == (5, True, None)


@pytest.mark.parametrize("page", ["GET /orgs/crayon-team/members$", "GET /orgs/crayon-team/members/*"])
def test_a_failure_in_the_middle_of_a_look_throws_nobody_out(team, page):
    leave(team, "bob")
    team.faults(target="github", match=page, status=200, body=[{"login": "alice", "id": 1001}])
    team.faults(target="github", match=page, status=502)
    assert look().suspended == 0
    assert inside() == ALL


def test_the_third_failure_in_a_row_is_told_as_an_error(team, caplog):
    team.faults(target="github", match="GET /orgs", status=500, times=0)
    for hours in range(3):
        look(hours=hours)
    told = [record.levelno for record in caplog.records if "leavers are not looked for" in record.getMessage()]
    assert told == [logging.WARNING, logging.WARNING, logging.ERROR]


def test_after_an_outage_somebody_must_be_missed_three_times_in_a_row(team):
    team.faults(target="github", match="GET /orgs", status=500)
    leave(team, "bob")
    found = [look(hours=hours / 2) for hours in range(4)]
    assert [(each.suspended, each.waiting) for each in found] == [(0, 0), (0, 1), (0, 1), (1, 0)]
    assert github().missed == {}


def test_who_is_seen_again_after_an_outage_begins_anew(team):
    team.faults(target="github", match="GET /orgs", status=500)
    leave(team, "bob")
    look()
    look(hours=0.5)
    leave(team)
    look(hours=1)
    leave(team, "bob")
    assert look(hours=1.5).waiting == 1


def test_three_hours_after_a_failure_one_look_is_enough_again(team):
    team.faults(target="github", match="GET /orgs", status=500)
    look()
    leave(team, "bob")
    assert look(hours=3.1).suspended == 1


def test_a_token_that_is_shown_public_members_only_throws_nobody_out(team):
    team.github_person("alice", public_orgs=[TEAM])
    team.github_org_token(scopes=[])
    found = look()
    assert "is shown the public members of crayon-team only" in found.problem
    assert inside() == ALL


def test_a_token_whose_account_left_the_organization_throws_nobody_out(team):
    team.github_person("alice", public_orgs=[TEAM])
    team.github_person("crayon-bot", orgs=[])
    assert "its account must belong to it" in look().problem
    assert inside() == ALL


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"is_gone": True}, "GitHub knows no organization crayon-team"),
        ({"moved_to": "crayons"}, "The organization crayon-team has another name by now."),
    ],
)
def test_an_organization_that_is_gone_or_renamed_throws_nobody_out(team, change, sentence):
    team.github_organization(TEAM, **change)
    assert sentence in look().problem
    assert inside() == ALL


def test_another_organization_that_took_the_name_lets_nobody_stay_or_go(team):
    look()
    team.github_organization(TEAM, id=77, members=["crayon-bot", "charlie"])
    assert "is another one than before" in look().problem
    assert inside() == ALL


def test_a_revoked_token_is_named(team):
    team.github_org_token(revoked=True)
    assert look().problem == "GitHub doesn't accept GITHUB_ORG_TOKEN: it is wrong, expired or revoked."


def test_without_a_token_nobody_is_asked_and_nobody_is_out(team, settings):
    settings.GITHUB_ORG_TOKEN = ""
    leave(team, "bob")
    found = look()
    assert (found.unknown, found.suspended, team.requests("github")) == (3, 0, [])
    assert inside() == ALL


def test_somebody_who_moved_to_a_page_that_was_read_before_stays(sandbox, settings):
    """Whoever leaves while pages are read moves all others up: a list may miss somebody who is there."""
    a_list(settings, organizations=TEAM)
    people = many(3)
    sandbox.github_organization(TEAM, members=["crayon-bot", "alice"])
    entries = [{"login": person.github_login, "id": person.github_id} for person in people]
    sandbox.faults(target="github", match=f"GET /orgs/{TEAM}/members$", status=200, body=entries[:2])
    sandbox.faults(target="github", match=f"GET /orgs/{TEAM}/members/*", status=204, times=1)
    sandbox.faults(target="github", match=f"GET /orgs/{TEAM}/members$", status=200, body=entries)
    assert look().suspended == 0
    assert len(inside()) == 3


def test_a_full_page_without_a_word_of_another_is_not_the_end(sandbox, settings):
    a_list(settings, organizations=TEAM)
    many(100)
    page = [{"login": f"member-{n}", "id": 5_000_000 + n} for n in range(100)]
    sandbox.faults(target="github", match=f"GET /orgs/{TEAM}/members$", status=200, body=page)
    sandbox.github_organization(TEAM, members=["crayon-bot"])
    look()
    asked = [entry["query"] for entry in sandbox.requests("github") if entry["path"].endswith("/members")]
    assert [query.rpartition("page=")[2] for query in asked] == ["1", "2"]


def test_a_list_that_would_throw_out_more_than_half_stops_and_tells_operators(team):
    leave(team, "bob", "charlie")
    found = look()
    assert (found.suspended, found.leavers) == (0, [])
    assert found.problem.startswith("2 of 3 people would be out, so nobody is.")
    assert inside() == ALL
    row = ProviderLook.objects.get(name="Sign-up policy")
    assert (row.failures, row.error) == (1, found.problem)
    assert look(more_than_half=True).suspended == 2
    row.refresh_from_db()
    assert (row.failures, inside()) == (0, {"alice"})


def test_half_of_the_people_may_leave_at_once(team):
    User.objects.filter(username="charlie").delete()
    leave(team, "bob")
    assert look().suspended == 1


def test_an_emptied_list_of_logins_throws_nobody_out(settings, db):
    a_list(settings, logins="alice bob charlie")
    for login in IDS:
        known(login)
    look()
    a_list(settings, logins="someone-else")
    assert look().problem.startswith("3 of 3 people would be out")
    assert inside() == ALL


def test_who_is_taken_off_the_list_of_logins_or_domains_is_out(settings, db):
    a_list(settings, logins="bob", domains="example.com")
    for login in IDS:
        known(login)
    User.objects.filter(username="charlie").update(email="charlie@elsewhere.example")
    User.objects.filter(username="bob").update(email="bob@elsewhere.example")
    assert look().leavers == ["charlie"]
    a_list(settings, domains="example.com")
    assert look().leavers == ["bob"]
    assert inside() == {"alice"}
    assert Departure.objects.first().reason == "Their e-mail address is not of example.com."


def test_any_of_the_lists_is_enough(team, settings):
    a_list(settings, logins="bob", organizations=TEAM)
    leave(team, "bob")
    assert look().suspended == 0


def test_members_of_one_of_two_organizations_stay_and_nobody_is_out_while_one_fails(team, settings):
    a_list(settings, organizations=f"{TEAM} others")
    team.github_organization("others", members=["bob", "crayon-bot"])
    leave(team, "bob", "charlie")
    team.faults(target="github", match="GET /orgs/others/members", status=500)
    assert look().suspended == 0
    assert inside() == ALL
    assert look(hours=4).leavers == ["charlie"]


@pytest.mark.parametrize("role", [{"is_staff": True}, {"is_superuser": True}])
def test_operators_stay(team, role):
    User.objects.filter(username="bob").update(**role)
    leave(team, "bob")
    assert look().suspended == 0
    assert inside() == ALL


def test_who_did_not_come_by_github_is_not_asked_about(team):
    make_person("by-an-issuer")
    assert (look().asked, inside()) == (3, ALL | {"by-an-issuer"})


def test_nobody_is_asked_where_the_policy_is_no_list(team, settings):
    settings.SIGNUP_POLICY = "open"
    leave(team, "bob")
    assert look().suspended == 0
    assert team.requests("github") == []


def test_who_signs_in_while_the_look_is_under_way_stays(team):
    now = timezone.now()
    leave(team, "bob")
    User.objects.filter(username="bob").update(last_login=now + timedelta(seconds=1))
    assert leavers.look(now=now).suspended == 0


def test_who_becomes_an_operator_meanwhile_stays(team):
    bob = User.objects.get(username="bob")
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    assert not departures.depart(user_id=bob.pk, reason="", found_by="look", seen_at=timezone.now(), now=timezone.now())
    assert not Departure.objects.exists()


def test_who_comes_back_is_in_again_with_the_next_look(team):
    bob = User.objects.get(username="bob")
    api = APIClient(token_of(bob))
    leave(team, "bob")
    look()
    leave(team)
    found = look()
    assert (found.restored, found.returning) == (1, ["bob"])
    assert api.get("/api/integrations").status_code == 200
    departure = Departure.objects.get()
    assert (departure.outcome, departure.closed_by) == ("back", None)
    assert AuditEvent.objects.filter(action="user.returned", target_id=str(bob.pk)).count() == 1
    leave(team, "bob")
    assert look(hours=4).suspended == 1


def test_a_policy_that_is_open_by_now_lets_leavers_in_again(team, settings):
    leave(team, "bob")
    look()
    settings.SIGNUP_POLICY = "open"
    assert look().restored == 1


def test_who_was_suspended_for_something_else_does_not_come_back(team):
    bob, operator = User.objects.get(username="bob"), make_operator()
    users.suspend(user=bob, by=operator)
    assert look().restored == 0
    users.restore(user=bob, by=operator)
    leave(team, "bob")
    look()
    assert users.suspend(user=bob, by=operator)
    leave(team)
    assert look().restored == 0
    assert Departure.objects.get().outcome == "suspended"
    assert AuditEvent.objects.filter(action="user.suspended", target_id=str(bob.pk)).count() == 2


def test_a_dry_run_changes_and_counts_nothing(team, capsys):
    leave(team, "bob")
    call_command("check_leavers", "--dry-run")
    assert capsys.readouterr().out == (
        "no longer fits: bob\n"
        "Asked about 3 people with 4 calls: 0 shut out, 0 wait for another look, 0 let in again, "
        "0 could not be asked.\n"
    )
    assert inside() == ALL
    assert [model.objects.count() for model in (ProviderLook, ListedName, AuditEvent, Departure)] == [0, 0, 0, 0]
    team.faults(target="github", match="GET /orgs", status=500)
    with pytest.raises(CommandError, match="GitHub answered 500"):
        call_command("check_leavers", "--dry-run")
    assert not ProviderLook.objects.exists()


def test_the_command_looks_now(team, capsys):
    leave(team, "bob")
    call_command("check_leavers")
    assert "1 shut out" in capsys.readouterr().out
    leave(team, "bob", "charlie", "alice")
    with pytest.raises(CommandError, match="2 of 2 people would be out"):
        call_command("check_leavers")
    call_command("check_leavers", "--more-than-half")
    assert inside() == set()


def test_the_hourly_job_comes_again_when_github_takes_calls_again(team):
    team.faults(target="github", match="GET /orgs", status=429, headers={"Retry-After": "120"})
    tasks.look_for_leavers(0)
    (job,) = tasks.app.job_manager.list_jobs(task=tasks.LOOK_FOR_LEAVERS)
    wait = job.scheduled_at - timezone.now()
    assert timedelta(seconds=100) < wait <= timedelta(seconds=120)


def test_closed_departures_go_after_a_year_but_for_those_that_spare_somebody(team):
    now = timezone.now()
    long_ago = now - timedelta(days=366)
    over = make_departure(User.objects.get(username="alice"), outcome="back", closed_at=long_ago)
    spares = make_departure(User.objects.get(username="bob"), outcome="mistake", closed_at=long_ago)
    still = make_departure(User.objects.get(username="charlie"), left_at=long_ago)
    pruning.prune(now=now)
    assert set(Departure.objects.all()) == {spares, still}
    assert over not in Departure.objects.all()


def test_of_a_thousand_people_a_look_costs_a_dozen_calls_and_as_many_queries_as_of_ten(
    sandbox, settings, django_assert_num_queries
):
    a_list(settings, organizations=TEAM)
    many(10)
    names = [f"member-{n}" for n in range(1000)]
    ids = sandbox.control("POST", f"/github/organizations/{TEAM}", {"members": [*names, "crayon-bot"]})
    assert ids["login"] == TEAM
    shown = {each["login"]: each["id"] for each in sandbox.state()["github"]["people"].values()}
    for person in User.objects.all():
        User.objects.filter(pk=person.pk).update(github_id=shown[person.github_login])
    look()
    with django_assert_num_queries(8):
        few = look()
    more = [User(username=name, github_login=name, github_id=shown[name]) for name in names[10:]]
    User.objects.bulk_create(more)
    with django_assert_num_queries(8):
        found = look()
    # About the organization, eleven pages, and whether the token sees concealed members.
    assert (few.calls, found.calls, found.asked, found.suspended) == (13, 13, 1000, 0)
