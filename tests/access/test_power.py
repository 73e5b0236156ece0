"""Over whom an operator has power: every action of their pages, pressed about a superuser, an operator and alice.

The table is whole: a new button, action or form of the operators' pages fails here until it has an entry.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import AccessToken, APIKey, Departure, Organization, User
from accounts.services import operators
from accounts.services.operator_power import SuperusersOnly, has_power
from clouddev.models import IdlePolicy
from clouddev.services import operator_actions, tokens
from deployments.models import Build
from tests.accounts.keys import personal
from tests.accounts.threads import at_once
from tests.clouddev.builders import add_member, make_machine, make_webhook_token
from tests.conftest import make_person, token_of
from tests.deployments.builders import make_build, make_deployment
from tests.operators import PASSWORD, browser_of, make_departure, make_operator

pytestmark = pytest.mark.django_db
_ORDINARY = {"changelist", "history", "add", "change", "delete"}
_PASSWORDS = {"password1": "another-fake-password", "password2": "another-fake-password", "usable_password": "true"}

_NEW = {"username": "new", "password1": PASSWORD, "password2": PASSWORD}


@dataclass(frozen=True)
class Action:
    """`make` gives a row that belongs to the person. With `by_all` every operator may do it to alice."""

    make: Callable[[User, Any], Any]
    form: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    by_all: bool = True
    changes: bool = True


def person(user: User, sandbox: Any) -> User:
    token_of(user)
    return user


def suspended(user: User, sandbox: Any) -> User:
    User.objects.filter(pk=user.pk).update(is_active=False)
    return person(user, sandbox)


def waiting(user: User, sandbox: Any) -> User:
    User.objects.filter(pk=user.pk).update(is_active=False, waitlisted_at=timezone.now())
    return person(user, sandbox)


def organization(user: User, sandbox: Any) -> Organization:
    return user.personal_organization


def suspended_organization(user: User, sandbox: Any) -> Organization:
    Organization.objects.filter(pk=user.personal_organization.pk).update(suspended_at=timezone.now())
    return Organization.objects.get(personal_for=user)


def leaver(user: User, sandbox: Any) -> Departure:
    suspended(user, sandbox)
    return make_departure(user)


def spared(user: User, sandbox: Any) -> Departure:
    return make_departure(person(user, sandbox), outcome="mistake")


def token(user: User, sandbox: Any) -> AccessToken:
    return AccessToken.objects.get(user=person(user, sandbox))


def api_key(user: User, sandbox: Any) -> APIKey:
    return personal(user).row


def running(user: User, sandbox: Any) -> Any:
    return make_machine(user, "studio", sandbox=sandbox)


def stopped(user: User, sandbox: Any) -> Any:
    return make_machine(user, "studio", sandbox=sandbox, fly_state="stopped")


def webhook_token(user: User, sandbox: Any) -> Any:
    return make_webhook_token(make_machine(user, "studio"), user)


def app(user: User, sandbox: Any) -> Any:
    shop = make_deployment(user, "shop")
    sandbox.add_fly_app(shop.fly_app_id)
    return shop


def queued(user: User, sandbox: Any) -> Any:
    return make_build(app(user, sandbox))


def built(user: User, sandbox: Any) -> Any:
    return make_build(app(user, sandbox), state=Build.State.LIVE)


def policy(user: User, sandbox: Any) -> Any:
    running(user, sandbox)
    return IdlePolicy.objects.create(organization=user.personal_organization)


def policy_form(user: User) -> dict[str, str]:
    numbers = {"stop_after_minutes": "30", "warn_after_days": "1", "days_to_react": "1", "then": "delete"}
    return {"organization": str(user.personal_organization.pk), **numbers}


_USER, _MACHINE, _APP, _BUILD = "accounts.user", "clouddev.machine", "deployments.deployment", "deployments.build"
_ORGANIZATION = "accounts.organization"
_LEAVER = "accounts.departure"
_TOKEN, _WEBHOOK, _POLICY = "accounts.accesstoken", "clouddev.webhooktoken", "clouddev.idlepolicy"
ACTIONS: dict[tuple[str, str], Action] = {
    (_USER, "suspend_one"): Action(person),
    (_USER, "suspend_selected"): Action(person),
    (_USER, "restore_one"): Action(suspended),
    (_USER, "restore_selected"): Action(suspended),
    (_USER, "approve_one"): Action(waiting),
    (_USER, "approve_selected"): Action(waiting),
    (_USER, "revoke_one"): Action(person),
    (_USER, "revoke_selected"): Action(person),
    (_USER, "set_password"): Action(person, changes=False),
    (_USER, "auth_user_password_change"): Action(person, _PASSWORDS, "{row}/password/", by_all=False),
    (_USER, "add"): Action(person, _NEW, "add/", by_all=False),
    (_USER, "change"): Action(person, {"is_staff": "on"}, "{row}/change/", by_all=False),
    (_ORGANIZATION, "suspend_one"): Action(organization),
    (_ORGANIZATION, "suspend_selected"): Action(organization),
    (_ORGANIZATION, "restore_one"): Action(suspended_organization),
    (_ORGANIZATION, "restore_selected"): Action(suspended_organization),
    (_LEAVER, "restore_one"): Action(leaver),
    (_LEAVER, "restore_selected"): Action(leaver),
    (_LEAVER, "wrong_one"): Action(leaver),
    (_LEAVER, "ask_again_one"): Action(spared),
    (_TOKEN, "revoke_one"): Action(token),
    (_TOKEN, "revoke_selected"): Action(token),
    ("accounts.apikey", "revoke_one"): Action(api_key),
    ("accounts.apikey", "revoke_selected"): Action(api_key),
    (_MACHINE, "start_one"): Action(stopped),
    (_MACHINE, "start_selected"): Action(stopped),
    (_MACHINE, "stop_one"): Action(running),
    (_MACHINE, "stop_selected"): Action(running),
    (_MACHINE, "transfer_one"): Action(running, {"login": "bob"}, by_all=False),
    (_MACHINE, "destroy_one"): Action(running, {"name": "studio"}),
    (_MACHINE, "destroy_selected"): Action(running, {"name": "studio"}),
    (_WEBHOOK, "revoke_one"): Action(webhook_token),
    (_WEBHOOK, "revoke_selected"): Action(webhook_token),
    (_POLICY, "add"): Action(lambda user, _sandbox: user, path="add/"),
    (_POLICY, "change"): Action(policy, path="{row}/change/"),
    (_POLICY, "delete"): Action(policy, {"post": "yes"}, "{row}/delete/"),
    (_APP, "destroy_one"): Action(app, {"name": "shop"}),
    (_BUILD, "cancel_one"): Action(queued),
    (_BUILD, "cancel_selected"): Action(queued),
    (_BUILD, "redeploy_one"): Action(built),
}  # fmt: skip

EACH_ACTION = pytest.mark.parametrize("name", ACTIONS, ids=" ".join)


def discovered() -> Iterator[tuple[str, str]]:
    """Whatever can be done on the operators' pages: forms, buttons, actions, and addresses beside the ordinary ones."""
    request = RequestFactory().get("/admin/")
    for superuser in (True, False):
        request.user = User(is_staff=True, is_superuser=superuser)
        for model, page in admin.site._registry.items():
            label, prefix = model._meta.label_lower, f"{model._meta.app_label}_{model._meta.model_name}_"
            edited = {"add": page.has_add_permission, "change": page.has_change_permission}
            edited["delete"] = page.has_delete_permission
            yield from ((label, name) for name, is_possible in edited.items() if is_possible(request))
            yield from ((label, name) for name in page.get_actions(request))
            for pattern in page.get_urls():
                name = str(pattern.name or "").removeprefix(prefix)
                if name and name not in _ORDINARY:
                    yield label, name
            yield from ((label, name) for name in page.actions_submit_line)


def test_every_action_has_an_entry_and_every_entry_a_action(db):
    there = set(discovered())
    assert sorted(there - ACTIONS.keys()) == [], "say here who may do this to whom"
    assert sorted(ACTIONS.keys() - there) == [], "these entries have no action any more"


@pytest.fixture
def bob_is_there(db):
    make_person("bob")


def press(by: User, name: tuple[str, str], whose: User, row: Any) -> str:
    """Do the action, confirmed, with all that has to be typed; gives the page that follows."""
    label, action = name
    entry, table = ACTIONS[name], f"/admin/{label.replace('.', '/')}/"
    form = {**entry.form, **(policy_form(whose) if label == _POLICY and action != "delete" else {})}
    path = entry.path.format(row=row.pk) or f"{row.pk}/{action}/"
    if action.endswith("_selected"):
        path, form = "", {**form, "action": action, "_selected_action": str(row.pk), "post": "yes"}
    return browser_of(by).post(f"{table}{path}", form, follow=True).content.decode()


def everything() -> dict[str, Any]:
    """All rows of ours but those of the audit trail."""
    ours = ("accounts", "clouddev", "deployments", "fly", "integrations")
    models = [model for name in ours for model in apps.get_app_config(name).get_models()]
    kept = [model for model in models if model._meta.label != "accounts.AuditEvent"]
    found = {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in kept}
    for each in found["accounts.User"]:
        del each["last_login"]
    return found


def change_something(by: User, name: tuple[str, str], whose: User, sandbox: Any) -> bool:
    row = ACTIONS[name].make(whose, sandbox)
    browser_of(by).get("/admin/")
    before = everything()
    press(by, name, whose, row)
    return everything() != before


@pytest.mark.parametrize(
    ("by", "over", "may"),
    [
        ("superuser", "superuser", True),
        ("superuser", "operator", True),
        ("operator", "superuser", False),
        ("operator", "operator", False),
        ("operator", "suspended operator", False),
        ("operator", "superuser without the operators' pages", False),
        ("operator", "person", True),
        ("operator", "themselves", True),
    ],
)
def test_the_rule_is_one_for_all(alice, by, over, may):
    doer = make_operator(superuser=by == "superuser")
    victim = make_operator("victim", superuser=over.startswith("superuser"))
    User.objects.filter(pk=victim.pk).update(is_active="suspended" not in over, is_staff="without" not in over)
    whom = {"person": alice, "themselves": doer}.get(over, victim)
    assert has_power(by=doer, over=[alice.pk, whom.pk]) is may


def test_the_rule_goes_by_what_somebody_is_by_now(alice):
    at_hand = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    with pytest.raises(SuperusersOnly):
        operators.suspend(user=at_hand, by=make_operator(superuser=False))


@pytest.mark.usefixtures("bob_is_there")
@EACH_ACTION
def test_an_operator_who_is_no_superuser_does_nothing_to_a_superuser(sandbox, name):
    assert not change_something(make_operator(superuser=False), name, make_operator("victim"), sandbox)


@pytest.mark.usefixtures("bob_is_there")
@EACH_ACTION
def test_a_superuser_does_it_to_another_operator(sandbox, name):
    assert change_something(make_operator(), name, make_operator("victim"), sandbox) == ACTIONS[name].changes


@pytest.mark.usefixtures("bob_is_there")
@EACH_ACTION
def test_an_operator_does_to_people_what_is_not_for_superusers_alone(sandbox, name, alice):
    may = ACTIONS[name].by_all and ACTIONS[name].changes
    assert change_something(make_operator(superuser=False), name, alice, sandbox) == may


@pytest.fixture
def demoted_meanwhile(monkeypatch):
    """Whoever is let in to the operators' pages by a POST is no operator any more a moment later."""
    site = admin.site.__class__
    has_permission = site.has_permission

    def let_in(self, request):
        may = has_permission(self, request)
        if may and request.method == "POST":
            User.objects.filter(pk=request.user.pk).update(is_staff=False, is_superuser=False)
        return may

    monkeypatch.setattr(site, "has_permission", let_in)


@pytest.mark.usefixtures("bob_is_there", "demoted_meanwhile")
@EACH_ACTION
def test_who_was_an_operator_when_the_request_began_does_nothing(sandbox, name, alice):
    doer = make_operator()
    row = ACTIONS[name].make(alice, sandbox)
    browser_of(doer).get("/admin/")
    before = everything()
    press(doer, name, alice, row)

    doer.refresh_from_db()
    assert not doer.is_staff
    User.objects.filter(pk=doer.pk).update(is_staff=True, is_superuser=True)
    assert everything() == before


@pytest.mark.parametrize("action", ["start_one", "stop_one", "destroy_one"])
def test_a_machine_that_a_superuser_owns_too_is_out_of_an_operators_reach(sandbox, alice, action):
    machine = ACTIONS[_MACHINE, action].make(alice, sandbox)
    add_member(machine, make_operator("victim"), "owner")
    operator = make_operator(superuser=False)
    before = everything()
    page = press(operator, (_MACHINE, action), alice, machine)
    assert "Only a superuser may do this to an operator. Ask a superuser." in page
    assert everything() == before


def test_a_webhook_token_that_a_superuser_made_is_revoked_by_superusers_only(alice):
    made = make_webhook_token(make_machine(alice, "studio"), make_operator("victim"))
    page = press(make_operator(superuser=False), (_WEBHOOK, "revoke_one"), alice, made)
    assert "Only a superuser may do this to an operator. Ask a superuser." in page
    assert len(tokens.webhook_tokens(machine=made.machine, now=timezone.now())) == 1


def test_an_operator_gets_no_machine_of_a_superuser_and_so_not_its_key(sandbox):
    victim, operator = make_operator("victim"), make_operator(superuser=False)
    machine = running(victim, sandbox)
    browser_of(operator).post(f"/admin/clouddev/machine/{machine.pk}/transfer_one/", {"login": "operator"})
    answer = browser_of(operator).get(
        "/api/cloud-dev/ssh-key", {"appName": "studio"}, headers={"Authorization": f"Bearer {token_of(operator)}"}
    )
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "You have no workspace of this name. Create it first."},
    )


@pytest.mark.parametrize("name", [name for name in ACTIONS if name[1].endswith("_one")], ids=" ".join)
def test_buttons_that_would_be_refused_are_not_offered(sandbox, name):
    label, action = name
    row = ACTIONS[name].make(make_operator("victim"), sandbox)
    page = f"/admin/{label.replace('.', '/')}/{row.pk}/change/"
    browsers = [browser_of(make_operator("superuser")), browser_of(make_operator(superuser=False))]
    assert [f"/{action}/" in browser.get(page).content.decode() for browser in browsers] == [True, False]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["role", "suspension"])
def test_two_superusers_who_shut_each_other_out_at_once_do_not_leave_none(way):
    first, second = make_operator("first"), make_operator("second")

    def against(user: User, by: User) -> bool:
        try:
            if way == "role":
                return operators.set_role(user=user, is_staff=True, is_superuser=False, by=by)
            return operators.suspend(user=user, by=by)
        except SuperusersOnly:
            return False

    assert sorted(at_once(lambda: against(first, second), lambda: against(second, first))) == [False, True]
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1


def test_an_operator_who_was_let_in_before_they_stopped_being_one_changes_nothing(alice):
    operator, boss = make_operator(), make_operator("boss")
    for change in ({"is_staff": False, "is_superuser": False}, {"is_staff": True, "is_active": False}):
        User.objects.filter(pk=operator.pk).update(**change)
        with pytest.raises(SuperusersOnly, match="no operator any more"):
            operators.suspend(user=alice, by=operator)
        with pytest.raises(SuperusersOnly, match="no operator any more"):
            operators.set_role(user=boss, is_staff=False, is_superuser=False, by=operator)
    assert User.objects.filter(is_active=True, pk__in=[alice.pk, boss.pk]).count() == 2


@pytest.mark.parametrize("left", [{"is_superuser": False}, {"is_staff": False, "is_superuser": False}])
def test_an_operator_who_was_let_in_before_they_stopped_being_one_lets_nobody_in(alice, left):
    """`restore` and `approve` are any operator's, the others a superuser's."""
    operator, boss = make_operator(), make_operator("boss")
    User.objects.filter(pk=operator.pk).update(**left)
    with pytest.raises(SuperusersOnly):
        operators.add(user=User(username="late"), by=operator)
    with pytest.raises(SuperusersOnly), operators.auditing_password_of(user_id=boss.pk, by=operator):
        User.objects.filter(pk=boss.pk).update(password="!mine")
    assert (User.objects.filter(username="late").count(), User.objects.get(pk=boss.pk).password) == (0, boss.password)
    if "is_staff" in left:
        User.objects.filter(pk=alice.pk).update(is_active=False)
        for let_in in (operators.restore, operators.approve):
            with pytest.raises(SuperusersOnly, match="no operator any more"):
                let_in(user=alice, by=operator)


@pytest.mark.parametrize("left", [{"is_superuser": False}, {"is_staff": False, "is_superuser": False}])
def test_an_operator_who_was_let_in_before_they_stopped_being_one_gives_no_machine_away(alice, bob, left):
    operator, machine = make_operator(), make_machine(alice, "studio")
    User.objects.filter(pk=operator.pk).update(**left)
    with pytest.raises(SuperusersOnly):
        operator_actions.transfer(machine=machine, login="bob", by=operator, now=timezone.now())
    machine.refresh_from_db()
    assert (machine.owner_id, machine.members.count()) == (alice.pk, 1)


def test_an_operator_who_was_let_in_before_they_stopped_being_one_sets_no_policy(alice, sandbox):
    operator, rules = make_operator(), policy(alice, sandbox)
    User.objects.filter(pk=operator.pk).update(is_staff=False, is_superuser=False)
    rules.stop_after_minutes = 7
    for change in (operator_actions.save_policy, operator_actions.delete_policy):
        with pytest.raises(SuperusersOnly, match="no operator any more"):
            change(policy=rules, by=operator)
    assert list(IdlePolicy.objects.values_list("stop_after_minutes", flat=True)) == [None]
