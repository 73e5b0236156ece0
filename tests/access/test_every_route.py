"""Every address of the server, asked by everybody: who gets what is in the tables, nothing is left out."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import (
    AccessToken,
    APIKey,
    AuditEvent,
    AuthorizationCode,
    CLILogin,
    Consent,
    Invitation,
    Login,
    Membership,
    Organization,
    User,
)
from clouddev.models import CronJob, Machine, Member, Offer
from core import rate_limits
from deployments.models import Build, Deployment
from integrations.models import Connection
from tests.access.admin_table import ADMIN
from tests.access.clouddev_table import CLOUDDEV_CALLS
from tests.access.deployments_table import DEPLOYMENT_CALLS, DEPLOYMENT_PAGES
from tests.access.entries import CALLERS, VISITORS, Call, Visit
from tests.access.fixtures import Scene, browser_of, headers_of, row_of
from tests.access.organization_table import ORGANIZATION_CALLS, ORGANIZATION_PAGES
from tests.access.table import SERVER_CALLS, SERVER_PAGES
from tests.access.workspace_table import WORKSPACES
from tests.conftest import make_person

pytestmark = pytest.mark.django_db

_SHARED_CSRF = "a" * 32
CALLS = SERVER_CALLS | ORGANIZATION_CALLS | DEPLOYMENT_CALLS | CLOUDDEV_CALLS
PAGES = SERVER_PAGES | ORGANIZATION_PAGES | DEPLOYMENT_PAGES | WORKSPACES | ADMIN


@pytest.fixture
def scene(db: None, sandbox: Any) -> Scene:
    return Scene(sandbox)


# --- the tables are whole -----------------------------------------------------------------------


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        route = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from routes(entry, route)


def test_every_route_has_an_entry_and_every_entry_a_route():
    there = set(routes(get_resolver()))
    listed = CALLS.keys() | PAGES.keys()
    assert sorted(there - listed) == [], "say in the tables beside this file who may call these"
    assert sorted(listed - there) == [], "these entries have no route any more"


def test_every_entry_names_every_kind_of_caller():
    for calls in CALLS.values():
        assert calls
        assert {tuple(sorted(call.statuses)) for call in calls} == {tuple(sorted(CALLERS))}
    for visits in PAGES.values():
        assert visits
        assert {tuple(sorted(visit.statuses)) for visit in visits} == {tuple(sorted(VISITORS))}


# --- the JSON API -------------------------------------------------------------------------------


def ask(client: Client, scene: Scene, call: Call, headers: Mapping[str, str], words: Mapping[str, str]) -> Any:
    """The call with the words' meaning; `words` say something else in place of some of them."""
    path, body = call.path, json.dumps(call.body)
    for word, other in words.items():
        path, body = path.replace(word, other), body.replace(f'"{word}"', f'"{other}"')
    sent = {} if call.body is None else {"data": scene.say(body), "content_type": "application/json"}
    return client.generic(call.method, scene.say(path), headers=dict(headers), **sent)


def _cases(entries: Mapping[str, list[Any]], method: str = "") -> list[Any]:
    every = [entry for entries_of_route in entries.values() for entry in entries_of_route]
    return [pytest.param(entry, id=f"{entry.method} {entry.path}") for entry in every if method in {"", entry.method}]


@contextmanager
def as_if_never_been() -> Iterator[None]:
    """Takes back what happens in the database, and forgets what was counted."""
    rate_limits.forget_all()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("call", _cases(CALLS))
def test_the_api_answers_each_caller_as_the_table_says(scene, call):
    statuses = {}
    # alice comes last, since what she does at Nango stays done.
    for caller in reversed(CALLERS):
        with as_if_never_been():
            statuses[caller] = _one_call(scene, call, caller)
    assert statuses == dict(call.statuses)


def _one_call(scene: Scene, call: Call, caller: str) -> int:
    headers = headers_of(caller, scene)
    client = scene.browser if caller == "browser" else browser_of(None)
    answer = ask(client, scene, call, headers, {})
    if call.path != "/api/docs":
        assert answer["Content-Type"] == "application/json"
    is_narrowed = caller == "narrowed" and answer.status_code == 403 and "lacks the scope" in answer.json()["error"]
    assert answer.has_header("WWW-Authenticate") == (answer.status_code == 401 or is_narrowed)
    if answer.status_code >= 400:
        # OAuth has a word in place of the sentence, which comes beside it.
        about = {"error_description"} if call.path.startswith(("/oauth/", "/api/auth/device/")) else set()
        assert {"error"} <= set(answer.json()) <= {"error"} | about
        assert scene.words["{connection}"] not in answer.content.decode()
    is_strange = caller in {"bob", "charlie"} or (caller == "member" and answer.status_code == 404)
    if call.absent and is_strange:
        absent = ask(client, scene, call, headers, call.absent)
        assert (absent.status_code, absent.content) == (answer.status_code, answer.content)
        assert _headers_that_count(absent) == _headers_that_count(answer)
    return int(answer.status_code)


def _headers_that_count(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}


@pytest.mark.parametrize("caller", sorted(set(CALLERS) - {"alice", "key"}))
def test_nobody_else_changes_what_is_alices(scene, sandbox, caller):
    headers = headers_of(caller, scene)
    client = scene.browser if caller == "browser" else browser_of(None)
    before = _what_is_alices(scene, sandbox)

    # A member may do some of it; what is refused to them must do nothing.
    every = [call for calls in CALLS.values() for call in calls]
    for call in every if caller != "member" else [call for call in every if call.statuses["member"] >= 400]:
        rate_limits.forget_all()
        ask(client, scene, call, headers, {})

    assert _what_is_alices(scene, sandbox) == before
    alices = AccessToken.objects.get(pk=scene.words["{token}"])
    assert (alices.revoked_at is None) == (caller != "revoked")


def _what_is_alices(scene: Scene, sandbox: Any) -> list[Any]:
    app, build = Deployment.objects.filter(pk=scene.app.pk), Build.objects.filter(pk=scene.build.pk)
    return [
        Connection.objects.values().get(),
        sandbox.state()["nango"]["connections"],
        app.values().get(),
        build.values().get(),
        Machine.objects.values().get(pk=scene.machine.pk),
        list(Member.objects.filter(machine=scene.machine).values()),
        list(Offer.objects.values()),
        CronJob.objects.values().get(),
        list(Organization.objects.filter(made_by=scene.alice).values()),
        list(Membership.objects.filter(organization__made_by=scene.alice).values()),
        list(Invitation.objects.values()),
        sandbox.state()["fly"]["machines"],
        APIKey.objects.values().get(pk=scene.words["{key}"]),
    ]


def test_a_token_that_does_not_work_is_refused_in_the_same_words_whatever_is_wrong_with_it(scene):
    answers = []
    for caller in ("unknown", "expired", "revoked"):
        answer = browser_of(None).get("/api/integrations", headers=headers_of(caller, scene))
        answers.append((answer.status_code, answer.content, answer["WWW-Authenticate"]))
    assert len(set(answers)) == 1


# --- the pages ----------------------------------------------------------------------------------


def visitor(kind: str, scene: Scene) -> tuple[Client, dict[str, str]]:
    """The browser of this kind of visitor, and the headers it sends."""
    match kind:
        case "alice" | "member":
            return browser_of(scene.alice if kind == "alice" else scene.member), {}
        case "bob":
            return browser_of(make_person("bob")), {}
        case "nobody":
            return browser_of(None), {}
        case "token":
            return browser_of(None), {"Authorization": f"Bearer {scene.token}"}
        case "operator" | "superuser":
            return browser_of(make_person("charlie", is_staff=True, is_superuser=kind == "superuser")), {}
        case _:
            since = timezone.now() if kind == "waitlisted" else None
            User.objects.filter(pk=scene.alice.pk).update(is_active=False, waitlisted_at=since)
            return scene.browser, {}


def go(client: Client, scene: Scene, visit: Visit, headers: Mapping[str, str], **options: Any) -> Any:
    """Ask for the page, with the form's token unless `csrf=False`."""
    words = {"{object}": row_of(visit.path, scene), **options.get("words", {})}
    path = scene.say(visit.path, **words)
    if visit.method == "GET":
        return client.get(path, headers=dict(headers))
    form = {name: scene.say(value, **words) for name, value in visit.form.items()}
    if options.get("csrf", True):
        client.cookies[settings.CSRF_COOKIE_NAME] = _SHARED_CSRF
        form["csrfmiddlewaretoken"] = _SHARED_CSRF
    return client.post(path, form, headers=dict(headers))


@pytest.mark.parametrize("visit", _cases(PAGES))
def test_a_page_answers_each_visitor_as_the_table_says(scene, visit):
    answers = {}
    for kind in VISITORS:
        with as_if_never_been():
            answers[kind] = _one_visit(scene, visit, kind)
    words = {"{object}": row_of(visit.path, scene)}
    wanted = {
        kind: scene.say(status, **words) if isinstance(status, str) else status
        for kind, status in visit.statuses.items()
    }
    assert answers == wanted


def _one_visit(scene: Scene, visit: Visit, kind: str) -> int | str:
    """The status, or where the answer leads."""
    client, headers = visitor(kind, scene)
    answer = go(client, scene, visit, headers)
    # Who may know of it is told that they may not, and needs not be told that it is absent.
    is_stranger_too = visit.statuses["member"] == visit.statuses["bob"]
    is_refused = kind == "member" and is_stranger_too and answer.status_code in {403, 404}
    if visit.absent and (is_refused or kind in {"bob", "operator", "superuser"}):
        absent = go(client, scene, visit, headers, words=visit.absent)
        assert (absent.status_code, answer.status_code) in {(403, 403), (404, 404), (405, 405)}
        assert _without_forms(absent) == _without_forms(answer)
    if answer.status_code != 302:
        return int(answer.status_code)
    location = str(answer["Location"])
    is_new_each_time = "/login/oauth/authorize" in location or "/dev/__auth/callback" in location
    is_new_each_time = is_new_each_time or location.startswith("https://app.example.com/callback?code=")
    return location.partition("?")[0] if is_new_each_time else location


def _without_forms(answer: Any) -> str:
    """The page without its anti-forgery tokens, which are new every time."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())


@pytest.mark.parametrize("visit", _cases(PAGES, "POST"))
def test_a_form_without_its_token_changes_nothing(scene, visit):
    for kind in ("alice", "superuser", "nobody"):
        with as_if_never_been():
            client, headers = visitor(kind, scene)
            client.get("/")
            before = _what_there_is(scene)

            answer = go(client, scene, visit, headers, csrf=False)

            # Who is not signed in, or no operator, may be sent to sign in instead.
            sent_away = answer.get("Location", "").startswith(("/auth/sign-in?next=", "/admin/login/?next="))
            assert answer.status_code == 403 or (sent_away and kind != "superuser")
            assert _what_there_is(scene) == before
            assert (SESSION_KEY in client.session) == (kind != "nobody")


def _what_there_is(scene: Scene) -> list[Any]:
    kept = [
        list(model.objects.order_by("pk").values())
        for model in (
            AccessToken,
            APIKey,
            AuthorizationCode,
            CLILogin,
            Consent,
            Login,
            Connection,
            Deployment,
            Build,
            Machine,
            Member,
            Offer,
            Organization,
            Membership,
            Invitation,
        )
    ]
    persons = list(User.objects.order_by("pk").values("pk", "is_active", "password", "is_staff"))
    return [
        *kept,
        persons,
        AuditEvent.objects.exclude(action="user.signed_up").count(),
        scene.alice.usersession_set.count(),
    ]


def test_the_way_back_after_signing_in_is_the_page_that_was_asked_for(scene):
    path = "/account/apps"
    assert browser_of(None).get(path)["Location"] == f"/auth/sign-in?next={quote(path)}"
