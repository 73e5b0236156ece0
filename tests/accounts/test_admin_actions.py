"""What operators do to people and tokens: it happens, it is guarded, and the audit trail names them."""

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, User
from accounts.services import operators as accounts_operators
from tests.accounts.threads import at_once
from tests.conftest import APIClient, make_person, token_of
from tests.operators import PASSWORD, browser_of, make_operator

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/accounts/user/"
TOKENS = "/admin/accounts/accesstoken/"


@pytest.fixture
def second(db):
    return make_operator("second", superuser=False)


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def trail(action):
    return [(event.actor_label, event.target_id) for event in AuditEvent.objects.filter(action=action)]


def waiting(login):
    return make_person(login, is_active=False, waitlisted_at=timezone.now())


def test_suspending_from_a_persons_page_shuts_them_out_and_names_the_operator(operators, alice):
    token = token_of(alice)
    alices = browser_of(alice)
    answer = operators.post(f"{PEOPLE}{alice.pk}/suspend_one/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{PEOPLE}{alice.pk}/change/")
    assert said(answer) == ["Alice is suspended."]
    assert APIClient(token).get("/api/integrations").status_code == 403
    assert alices.get("/account/apps").status_code == 302
    assert trail("user.suspended") == [("Operator", str(alice.pk))]


def test_a_dialog_sent_by_a_script_leads_back_by_header(operators, alice):
    answer = operators.post(f"{PEOPLE}{alice.pk}/suspend_one/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, f"{PEOPLE}{alice.pk}/change/")


@pytest.mark.parametrize("action", ["suspend_one", "restore_one", "approve_one", "revoke_one"])
def test_looking_at_a_dialog_does_nothing(operators, alice, action):
    before = User.objects.get(pk=alice.pk).is_active, AuditEvent.objects.count()
    answer = operators.get(f"{PEOPLE}{alice.pk}/{action}/")
    assert answer.status_code == 200
    assert 'method="post"' in answer.content.decode()
    assert (User.objects.get(pk=alice.pk).is_active, AuditEvent.objects.count()) == before


@pytest.mark.parametrize("action", ["suspend_one", "revoke_one"])
def test_a_forged_form_does_nothing(operator, alice, action):
    forged = browser_of(operator)
    forged.handler.enforce_csrf_checks = True
    assert forged.post(f"{PEOPLE}{alice.pk}/{action}/").status_code == 403
    assert User.objects.get(pk=alice.pk).is_active


def test_restoring_lets_a_suspended_person_in_again(operators, alice):
    token = token_of(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert said(operators.post(f"{PEOPLE}{alice.pk}/restore_one/")) == ["Alice is restored."]
    assert APIClient(token).get("/api/integrations").status_code != 403
    assert trail("user.restored") == [("Operator", str(alice.pk))]


def test_restoring_does_not_let_a_waiting_person_in(operators):
    bob = waiting("bob")
    assert said(operators.post(f"{PEOPLE}{bob.pk}/restore_one/")) == ["Bob was not suspended."]
    assert not User.objects.get(pk=bob.pk).is_active
    assert trail("user.restored") == []


def test_approving_lets_a_waiting_person_in(operators):
    bob = waiting("bob")
    assert said(operators.post(f"{PEOPLE}{bob.pk}/approve_one/")) == ["Bob is approved."]
    bob.refresh_from_db()
    assert (bob.is_active, bob.waitlisted_at) == (True, None)
    assert trail("user.approved") == [("Operator", str(bob.pk))]


def test_revoking_all_sessions_signs_tools_and_browsers_out(operators, alice):
    token = token_of(alice)
    alices = browser_of(alice)
    assert alices.get("/account/apps").status_code == 200
    assert said(operators.post(f"{PEOPLE}{alice.pk}/revoke_one/")) == ["Alice is signed out everywhere."]
    assert APIClient(token).get("/api/integrations").status_code == 401
    assert alices.get("/account/apps").status_code == 302
    event = AuditEvent.objects.get(action="user.sessions_revoked")
    assert (event.actor_label, event.target_id, event.details["tokens"]) == ("Operator", str(alice.pk), 1)


@pytest.mark.parametrize(
    ("action", "audited"),
    [
        ("suspend_selected", "user.suspended"),
        ("restore_selected", "user.restored"),
        ("approve_selected", "user.approved"),
        ("revoke_selected", "user.sessions_revoked"),
    ],
)
def test_actions_on_selected_people_leave_a_row_for_each(operators, action, audited):
    fields = {
        "restore_selected": {"is_active": False},
        "approve_selected": {"is_active": False, "waitlisted_at": timezone.now()},
    }.get(action, {})
    chosen = [make_person(login, **fields) for login in ("alice", "bob")]
    charlie = make_person("charlie", **fields)
    form = {"action": action, "_selected_action": [str(person.pk) for person in chosen]}
    assert operators.post(PEOPLE, {**form, "post": "yes"}).status_code == 302
    assert sorted(trail(audited)) == sorted(("Operator", str(person.pk)) for person in chosen)
    assert User.objects.get(pk=charlie.pk).is_active == charlie.is_active


@pytest.mark.parametrize("action", ["suspend", "revoke"])
def test_a_grave_action_is_asked_for_in_red_and_names_whom_it_is_about(operators, alice, bob, action):
    question = {"suspend": "Suspend", "revoke": "Revoke all sessions of"}[action]
    one = operators.get(f"{PEOPLE}{alice.pk}/{action}_one/").content.decode()
    assert f"{question} Alice (alice, alice@example.com)?" in one
    chosen = {"action": f"{action}_selected", "_selected_action": [str(alice.pk), str(bob.pk)]}
    several = operators.post(PEOPLE, chosen).content.decode()
    assert ("Alice (alice, alice@example.com)" in several, "Bob (bob, bob@example.com)" in several) == (True, True)
    for page in (one, several):
        assert ('class="crayon-confirm grave"' in page, "bg-red-600" in page) == (True, True)
    assert (User.objects.filter(is_active=False).exists(), AuditEvent.objects.exists()) == (False, False)


def test_the_page_that_asks_names_people_as_text(operators, alice):
    User.objects.filter(pk=alice.pk).update(name="<img src=x> {0}")
    page = operators.get(f"{PEOPLE}{alice.pk}/suspend_one/").content.decode()
    assert "Suspend &lt;img src=x&gt; {0} (alice, alice@example.com)?" in page


def test_an_operator_cannot_suspend_themselves(operators, operator):
    one = operators.post(f"{PEOPLE}{operator.pk}/suspend_one/")
    assert said(one) == ["Operator: You can't suspend yourself. Ask another operator."]
    operators.post(PEOPLE, {"action": "suspend_selected", "_selected_action": [str(operator.pk)], "post": "yes"})
    assert User.objects.get(pk=operator.pk).is_active
    assert trail("user.suspended") == []


@pytest.mark.parametrize("action", ["suspend_one", "revoke_one"])
def test_only_a_superuser_acts_on_another_operator(second, operator, action):
    answer = browser_of(second).post(f"{PEOPLE}{operator.pk}/{action}/")
    assert said(answer) == ["Operator: Only a superuser may do this to an operator. Ask a superuser."]
    assert User.objects.get(pk=operator.pk).is_active


def test_a_page_offers_only_the_buttons_that_make_sense(operators, alice, operator):
    def offered(person):
        html = operators.get(f"{PEOPLE}{person.pk}/change/").content.decode()
        return {action for action in ("suspend", "restore", "approve", "revoke") if f"/{action}_one/" in html}

    assert offered(alice) == {"suspend", "revoke"}
    assert offered(make_person("bob", is_active=False)) == {"restore", "revoke"}
    assert offered(waiting("charlie")) == {"approve", "revoke"}
    assert offered(operator) == {"revoke"}


def test_a_token_is_revoked_from_its_page_and_from_the_list(operators, alice, bob):
    tokens = [token_of(alice), token_of(bob)]
    first, other = AccessToken.objects.get(user=alice), AccessToken.objects.get(user=bob)
    assert said(operators.post(f"{TOKENS}{first.pk}/revoke_one/")) == ["crayon CLI on laptop is signed out."]
    form = {"action": "revoke_selected", "_selected_action": [str(other.pk)]}
    page = operators.post(TOKENS, form).content.decode()
    assert "Revoke the token of crayon CLI on laptop, bob&#x27;s?" in page
    assert APIClient(tokens[1]).get("/api/integrations").status_code != 401
    operators.post(TOKENS, {**form, "post": "yes"})
    assert [APIClient(token).get("/api/integrations").status_code for token in tokens] == [401, 401]
    assert sorted(trail("access_token.revoked")) == sorted([("Operator", str(first.pk)), ("Operator", str(other.pk))])


def test_a_token_cannot_be_edited(operators, alice):
    token_of(alice)
    token = AccessToken.objects.get()
    answer = operators.post(f"{TOKENS}{token.pk}/change/", {"expires_at_0": "2999-01-01", "expires_at_1": "00:00"})
    assert answer.status_code == 403
    assert AccessToken.objects.get().expires_at == token.expires_at


def test_a_superuser_makes_a_person_an_operator_and_writes_nothing_else(operators, alice):
    form = {"is_staff": "on", "username": "mallory", "email": "mallory@example.com", "is_active": ""}
    assert operators.post(f"{PEOPLE}{alice.pk}/change/", form).status_code == 302
    person = User.objects.get(pk=alice.pk)
    assert (person.is_staff, person.is_superuser) == (True, False)
    assert (person.username, person.email, person.is_active) == ("alice", "alice@example.com", True)
    event = AuditEvent.objects.get(action="operator.role_changed")
    assert (event.actor_label, event.target_id) == ("Operator", str(alice.pk))
    assert event.details == {"is_staff": True, "is_superuser": False}


@pytest.mark.django_db(transaction=True)
def test_of_two_who_give_a_person_a_role_at_once_one_does_and_writes_it_down(operator, alice):
    outcomes = at_once(
        *[lambda: accounts_operators.set_role(user=alice, is_staff=True, is_superuser=False, by=operator)] * 4
    )
    assert sorted(outcomes) == [False, False, False, True]
    assert AuditEvent.objects.filter(action="operator.role_changed").count() == 1


def test_an_operator_who_is_no_superuser_makes_nobody_an_operator(second, alice):
    browser = browser_of(second)
    for person in (alice, second):
        answer = browser.post(f"{PEOPLE}{person.pk}/change/", {"is_staff": "on", "is_superuser": "on"})
        assert answer.status_code == 403
    assert not User.objects.filter(is_superuser=True).exists()
    assert browser.get(f"{PEOPLE}add/").status_code == 403


def test_nobody_changes_their_own_role(operators, operator):
    operators.post(f"{PEOPLE}{operator.pk}/change/", {})
    person = User.objects.get(pk=operator.pk)
    assert (person.is_staff, person.is_superuser) == (True, True)


def test_a_superuser_adds_an_operator_with_a_password(operators):
    form = {"username": "second", "email": "second@example.com", "password1": PASSWORD, "password2": PASSWORD}
    assert operators.post(f"{PEOPLE}add/", form).status_code == 302
    person = User.objects.get(username="second")
    assert (person.is_staff, person.is_superuser, person.github_login) == (True, False, "")
    assert person.check_password(PASSWORD)
    assert trail("operator.added") == [("Operator", str(person.pk))]


@pytest.mark.parametrize("password", ["", "short", "password1234"])
def test_an_operator_is_not_added_with_a_weak_password(operators, password):
    form = {"username": "second", "email": "", "password1": password, "password2": password}
    assert operators.post(f"{PEOPLE}add/", form).status_code == 200
    assert not User.objects.filter(username="second").exists()


def test_a_superuser_sets_an_operators_password(operators, second):
    make_operator("third", superuser=False)
    form = {"password1": "another-fake-password", "password2": "another-fake-password", "usable_password": "true"}
    assert operators.post(f"{PEOPLE}{second.pk}/password/", form).status_code == 302
    second.refresh_from_db()
    assert second.check_password("another-fake-password")
    assert trail("operator.password_changed") == [("Operator", str(second.pk))]


def test_an_operator_who_is_no_superuser_sets_nobodys_password(second):
    operator = make_operator("first", password=PASSWORD)
    browser = browser_of(second)
    form = {"password1": "another-fake-password", "password2": "another-fake-password", "usable_password": "true"}
    assert browser.post(f"{PEOPLE}{operator.pk}/password/", form).status_code == 403
    operator.refresh_from_db()
    assert operator.check_password(PASSWORD)


def test_operators_change_their_own_password():
    second = make_operator("second", superuser=False, password=PASSWORD)
    make_operator("third", superuser=False)
    browser = browser_of(second)
    new = "another-fake-password"
    answer = browser.post(
        "/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert answer.status_code == 302
    second.refresh_from_db()
    assert second.check_password(new)
    assert browser.get("/admin/").status_code == 200
    assert trail("operator.password_changed") == [("Second", str(second.pk))]


def test_people_are_never_deleted(operators, alice):
    assert operators.post(f"{PEOPLE}{alice.pk}/delete/", {"post": "yes"}).status_code == 403
    operators.post(PEOPLE, {"action": "delete_selected", "_selected_action": [str(alice.pk)], "post": "yes"})
    assert User.objects.filter(pk=alice.pk).exists()
