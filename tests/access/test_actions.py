"""Every address, method and button names what it does, or is among the public paths; what names nothing is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, path, resolve
from django.utils import timezone

from accounts import bearer
from accounts.models import AccessToken, AuditEvent, User
from accounts.policies import engine
from accounts.policies.actions import ACTIONS
from accounts.policies.loading import InvalidPolicies
from config.urls import urlpatterns as addresses
from core.actions import action_of, requires
from core.api import Endpoint, success
from core.middleware import ActionMiddleware
from core.needs import Needs
from tests.conftest import APIClient, token_of
from tests.operators import browser_of, make_operator

_METHODS = ("get", "post", "put", "patch", "delete")
# What services ask about a row that is found on the way to another one, and never a route by itself.
ASKED_BY_SERVICES = {"admin.have-power", "connections.update", "workspaces.leave"}
# Of routes that are being built.
TO_COME = {"account.view", "account.change", "tools.call"}


def views(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        route = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLPattern):
            yield route, entry.callback
        else:
            yield from views(entry, route)


VIEWS = dict(views(get_resolver()))


def methods_of(view: Any) -> list[str]:
    """The methods that a class of views has; of a function it is the same action for all."""
    found = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return [name.upper() for name in _METHODS if found is None or hasattr(found, name)]


def named() -> Iterator[tuple[str, str, str]]:
    """Each address and method, with its action."""
    for route, view in VIEWS.items():
        target = getattr(view, "cls", view)
        by_class = getattr(getattr(view, "view_class", None), "required_action", "")
        required = getattr(target, "required_action", "") or by_class
        if route in settings.PUBLIC_PATHS and not required:
            continue
        for method in required if isinstance(required, dict) else methods_of(view):
            yield route, method, action_of(target, method)


def test_every_address_names_an_action_or_is_public():
    assert sorted(VIEWS.keys() - settings.PUBLIC_PATHS - {route for route, _, _ in named()}) == []
    assert [entry for entry in named() if entry[2] not in ACTIONS] == []


def test_every_public_path_has_an_address():
    assert sorted(settings.PUBLIC_PATHS - VIEWS.keys()) == []


def test_every_method_of_the_api_names_an_action():
    for route, view in VIEWS.items():
        endpoint = getattr(view, "cls", None)
        if endpoint is not None and route not in settings.PUBLIC_PATHS:
            assert all(action_of(endpoint, method) in ACTIONS for method in methods_of(view)), route


def test_only_public_paths_let_strangers_in():
    open_to_strangers = {
        route
        for route, view in VIEWS.items()
        if (not view.cls.authentication_classes if hasattr(view, "cls") else not getattr(view, "login_required", True))
    }
    assert open_to_strangers == settings.PUBLIC_PATHS


def buttons() -> Iterator[tuple[str, str, str]]:
    """Everything that can be done to rows on the operators' pages, with its action."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_staff=True, is_superuser=True)
    for model, page in admin.site._registry.items():
        for name, (function, *_) in page.get_actions(request).items():
            yield model._meta.label_lower, name, getattr(function, "required_action", "")


def test_every_action_on_selected_rows_names_an_action():
    found = list(buttons())
    assert found
    assert [entry for entry in found if entry[2] not in ACTIONS] == []


def test_what_operators_change_is_never_merely_looking():
    posts = {(route, action_of(view, "POST")) for route, view in VIEWS.items() if view and route.startswith("admin/")}
    changes_lists = {route for route, action in posts if action == "admin.view"}
    changes_lists -= {"admin/accounts/user/<path:object_id>/set_password/"}
    assert all(route.count("/") == 3 and route.endswith("/") for route in changes_lists), changes_lists


def test_the_scope_of_an_action_is_the_one_that_its_method_needs():
    """So that narrowing means the same where a credential is asked and where policies are."""
    for route, view in VIEWS.items():
        for method, need in getattr(getattr(view, "cls", None), "needs", {}).items():
            action = ACTIONS[action_of(view.cls, method)]
            if need.own_login:
                continue
            assert (need.scope, route) == (action.scope, route)


def test_every_action_is_used():
    used = {action for _, _, action in named()} | {action for _, _, action in buttons()}
    assert used | ASKED_BY_SERVICES | TO_COME == ACTIONS.keys()
    assert not used & TO_COME, "these have their routes by now"


class Forgotten(Endpoint):
    """A view whose author forgot to say what it does."""

    needs = {"GET": Needs(None)}

    def get(self, _request: Any) -> HttpResponse:
        return success("reached")


def forgotten(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("reached")


@requires({"GET": "account.view"})
def half_forgotten(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("reached")


urlpatterns = [
    path("api/forgotten", Forgotten.as_view()),
    path("forgotten", forgotten),
    path("half", half_forgotten),
    *addresses,
]


@pytest.mark.urls(__name__)
def test_what_names_no_action_is_refused(alice):
    answer = APIClient(token_of(alice)).get("/api/forgotten")
    assert (answer.status_code, answer.json()) == (403, {"error": "Nobody may do this at this address."})


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("method", "where"), [("get", "/forgotten"), ("post", "/half")])
def test_a_page_that_names_no_action_is_refused(alice, rf, method, where):
    request = getattr(rf, method)(where)
    request.user, request.resolver_match = alice, resolve(where)
    answer = ActionMiddleware(lambda _request: HttpResponse()).process_view(request, resolve(where).func, (), {})
    assert answer is not None
    assert answer.status_code == 403
    assert "Nobody may do this at this address." in answer.content.decode()


@pytest.mark.parametrize("broken", [RuntimeError("no engine"), InvalidPolicies("no policies")])
def test_when_it_can_not_be_decided_nothing_is_done(alice, monkeypatch, broken):
    """Whatever is raised: the API, the pages and the operators' pages refuse with 503, and do nothing."""

    def fail() -> None:
        raise broken

    monkeypatch.setattr(engine, "current", fail)
    answer = APIClient(token_of(alice)).get("/api/integrations")
    assert (answer.status_code, answer.json()) == (503, {"error": engine.Undecided.default})
    token = token_of(alice)
    assert APIClient(token).post("/api/auth/logout").status_code == 503
    assert AccessToken.objects.working(now=timezone.now()).filter(user=alice).count() == 2
    page = browser_of(alice).get("/account/apps")
    assert page.status_code == 503
    assert engine.Undecided.default.replace("'", "&#x27;") in page.content.decode()
    operator = browser_of(make_operator())
    assert operator.get("/admin/accounts/user/").status_code == 503
    posted = operator.post(f"/admin/accounts/user/{alice.pk}/suspend_one/")
    assert posted.status_code == 503
    alice.refresh_from_db()
    assert alice.is_active


def test_a_decider_that_is_not_there_lets_nobody_in(alice, settings):
    settings.POLICY_DECIDER = "accounts.policies.no_such_thing"
    assert APIClient(token_of(alice)).get("/api/integrations").status_code == 500


def test_without_the_database_nothing_is_decided(alice_api, monkeypatch):
    def gone(*_args: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(bearer, "fetch_row", gone)
    assert alice_api.get("/api/integrations").status_code == 503


def test_a_policy_of_an_operator_is_what_a_caller_reads(alice_api, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_state", engine._State())
    (tmp_path / "own.cedar").write_text(
        '@id("no-catalog") @says("Nothing is connected here.")\n'
        'forbid (principal, action == Action::"integrations.view", resource is Server);'
    )
    settings.POLICIES_DIR = str(tmp_path)
    answer = alice_api.get("/api/integrations")
    assert (answer.status_code, answer.json()) == (403, {"error": "Nothing is connected here."})
    assert alice_api.get("/api/cloud-dev/list").status_code == 200


def test_the_audit_trail_names_the_policies(alice):
    assert APIClient(token_of(alice)).post("/api/auth/logout").status_code == 200
    [event] = AuditEvent.objects.filter(action="access_token.revoked")
    assert event.policies == "ask-at-the-door"
