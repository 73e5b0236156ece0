"""The sign-up policy is asked again whenever somebody signs in."""

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Departure, ListedName, User
from accounts.services import users
from tests.accounts.browsing import Browser, text_of
from tests.accounts.leaving import TEAM, a_list, known, look
from tests.conftest import APIClient, token_of
from tests.operators import make_departure

pytestmark = pytest.mark.django_db
OUT = "You are no longer on this server's list"


@pytest.fixture
def scope(settings):
    """GitHub is asked for the scope that shows organizations."""
    settings.SOCIALACCOUNT_PROVIDERS["github"]["SCOPE"].append("read:org")
    yield
    settings.SOCIALACCOUNT_PROVIDERS["github"]["SCOPE"].remove("read:org")


@pytest.fixture
def alices(github, browser, settings, scope):
    """alice's browser; she came in as a member of the organization."""
    a_list(settings, organizations=TEAM)
    browser.sign_in("alice")
    assert browser.is_signed_in
    return browser


def alice():
    return User.objects.get(github_login="alice")


def test_who_left_is_refused_when_they_sign_in_and_out_everywhere_with_the_next_look(github, alices):
    api = APIClient(token_of(alice()))
    github.github_person("alice", orgs=[])
    again = Browser()
    page = again.sign_in("alice")
    assert (page.status_code, OUT in text_of(page)) == (403, True)
    assert [again.is_signed_in, alices.is_signed_in, Departure.objects.exists()] == [False, True, False]
    github.github_organization(TEAM, members=["crayon-bot"])
    assert look(more_than_half=True).suspended == 1
    assert not alices.is_signed_in
    assert api.get("/api/integrations").status_code == 403
    assert AuditEvent.objects.filter(action="user.left").count() == 1


def test_members_of_a_renamed_organization_come_in(github, alices):
    renamed = [{"login": "another-name", "id": ListedName.objects.get(name=TEAM).github_id}]
    github.faults(target="github", match="GET /user/orgs", status=200, body=renamed)
    again = Browser()
    again.sign_in("alice")
    assert again.is_signed_in


def test_an_address_that_is_no_longer_verified_is_not_kept_and_does_not_let_in_again(github, browser, settings):
    a_list(settings, domains="example.com")
    browser.sign_in("alice")
    github.github_person("alice", emails=[{"email": "alice@example.com", "verified": False}])
    assert OUT in text_of(Browser().sign_in("alice"))
    assert (alice().email, Departure.objects.exists()) == ("", False)
    assert look(more_than_half=True).suspended == 1
    assert look(hours=1).restored == 0


@pytest.mark.parametrize("body", [[], {"odd": True}, [{"email": None}]], ids=repr)
def test_addresses_that_cannot_be_read_cost_nobody_theirs(github, browser, settings, body):
    a_list(settings, domains="example.com")
    browser.sign_in("alice")
    github.faults(target="github", match="GET /user/emails", status=200, body=body)
    assert Browser().sign_in("alice").status_code == 403
    assert (alice().email, browser.is_signed_in) == ("alice@example.com", True)
    assert look(more_than_half=True).suspended == 0


def test_a_recorded_login_is_nobodys_claim_to_a_listed_name(github, settings):
    a_list(settings, logins="alice")
    known("alice", github_id=4004)
    look()
    assert not ListedName.objects.exists()


def test_whoever_is_back_is_in_again_with_their_sign_in(github, alices):
    api = APIClient(token_of(alice()))
    github.github_person("alice", orgs=[])
    github.github_organization(TEAM, members=["crayon-bot"])
    look(more_than_half=True)
    github.github_person("alice", orgs=[TEAM])
    again = Browser()
    again.sign_in("alice")
    assert again.is_signed_in
    assert api.get("/api/integrations").status_code == 200
    assert Departure.objects.get().outcome == "back"


def test_who_is_suspended_by_an_operator_is_not_in_again_by_fitting(github, alices):
    users.suspend(user=alice(), by=None)
    again = Browser()
    page = again.sign_in("alice")
    assert (page.status_code, "This account is suspended" in text_of(page)) == (403, True)
    assert not again.is_signed_in


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": [], "headers": {"X-GitHub-SSO": "partial-results; organizations=21955855"}},
        {"status": 200, "body": [], "headers": {"X-OAuth-Scopes": "user:email"}},
        {"status": 200, "body": {"odd": True}},
        {"status": 200, "body": [{"login": "half-an-entry"}]},
    ],
    ids=["behind a single sign-on", "without the scope", "no list", "half an entry"],
)
def test_who_is_not_shown_whole_is_let_in_another_time_and_loses_nothing(github, alices, fault):
    github.faults(target="github", match="GET /user/orgs", **fault)
    page = Browser().sign_in("alice")
    assert (page.status_code, "GitHub does not show all of your organizations" in text_of(page)) == (403, True)
    assert alices.is_signed_in
    assert not Departure.objects.exists()


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "before"}, {"status": 403}])
def test_where_github_fails_nobody_is_out(github, alices, fault):
    github.faults(target="github", match="GET /user/orgs", times=0, **fault)
    assert Browser().sign_in("alice").status_code == 502
    assert alices.is_signed_in


def test_an_organization_on_the_second_page_counts(github, alices):
    github.github_person("alice", orgs=[*(f"org-{n}" for n in range(100)), TEAM])
    again = Browser()
    again.sign_in("alice")
    assert again.is_signed_in


def test_a_renamed_account_is_still_the_one_that_is_listed(github, browser, settings):
    a_list(settings, logins="alice")
    browser.sign_in("alice")
    github.github_person("alice", login="alice-two")
    again = Browser()
    again.sign_in("alice-two")
    assert again.is_signed_in
    assert look().suspended == 0


def test_whoever_takes_a_listed_login_that_its_owner_gave_up_is_a_stranger(github, browser, settings):
    a_list(settings, logins="alice")
    browser.sign_in("alice")
    github.github_person("alice", login="alice-two")
    thief = Browser()
    assert thief.sign_in("alice").status_code == 403
    assert User.objects.count() == 1


def test_a_login_that_was_taken_off_the_list_and_put_on_again_means_who_has_it_then(github, browser, settings):
    a_list(settings, logins="alice bob")
    browser.sign_in("alice")
    assert ListedName.objects.filter(name="alice").exists()
    a_list(settings, logins="bob", domains="example.com")
    look()
    assert not ListedName.objects.filter(name="alice").exists()


def test_another_organization_of_the_listed_name_lets_nobody_in(github, alices):
    github.github_organization(TEAM, id=77)
    page = Browser().sign_in("bob")
    assert page.status_code == 403
    assert User.objects.count() == 1


def test_another_address_is_followed_and_asked_about(github, browser, settings):
    a_list(settings, domains="example.com")
    browser.sign_in("alice")
    github.github_person("alice", emails=["alice@elsewhere.example"])
    assert OUT in text_of(Browser().sign_in("alice"))
    look(more_than_half=True)
    assert Departure.objects.get().reason == "Their e-mail address is not of example.com."


def test_operators_and_who_was_called_a_mistake_come_in_all_the_same(github, alices, settings):
    a_list(settings, logins="somebody-else")
    make_departure(alice(), outcome="mistake", closed_at=timezone.now())
    again = Browser()
    again.sign_in("alice")
    assert again.is_signed_in
    Departure.objects.all().delete()
    User.objects.update(is_staff=True)
    again = Browser()
    again.sign_in("alice")
    assert again.is_signed_in
