"""A form that is sent after the session ended: one signs in and is back at its page, never at a 405."""

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from core.request_context import is_for_machines
from tests.conftest import make_person

pytestmark = pytest.mark.django_db
ID = UUID(int=1)
ARGUMENTS = {"int": 7, "uuid": ID, "str": "acme", "slug": "acme"}
WORKSPACE = f"/workspaces/{ID}/"
BUILD = f"/deployments/{ID}/builds/{ID}"


def _patterns(resolver, converters=()):
    """Each named route below the resolver, with the converters of what its address has to be told."""
    for entry in resolver.url_patterns:
        told = {**dict(converters), **entry.pattern.converters}
        if isinstance(entry, URLResolver):
            if entry.namespace != "admin":
                yield from _patterns(entry, told)
        elif isinstance(entry, URLPattern) and entry.name:
            yield entry.name, told


def _paths():
    """An address of each route of our pages."""
    names = {}
    for route, converters in _patterns(get_resolver()):
        kinds = {
            name: next(kind for kind in ARGUMENTS if kind in type(converter).__name__.lower().replace("string", "str"))
            for name, converter in converters.items()
        }
        names[route] = {name: ARGUMENTS[kind] for name, kind in kinds.items()}
    return [path for name, given in names.items() if not is_for_machines(path := reverse(name, kwargs=given))]


def _next(path, **headers):
    """Where a stranger's form leads to after signing in; "" where it leads to no sign-in."""
    answer = Client(raise_request_exception=False).post(path, headers=headers)
    asked = urlsplit(answer.get("Location", ""))
    return parse_qs(asked.query).get("next", [""])[0] if asked.path == "/auth/sign-in" else ""


def test_no_form_of_any_page_leads_to_an_address_that_wants_a_post():
    alice = Client(raise_request_exception=False)
    alice.force_login(make_person("alice"), backend="django.contrib.auth.backends.ModelBackend")
    led = {path: _next(path) for path in _paths()}
    assert len([path for path, back in led.items() if back and back != path]) >= 14
    assert {
        back: alice.get(back).status_code for back in led.values() if back and alice.get(back).status_code == 405
    } == {}


@pytest.mark.parametrize(
    ("path", "page"),
    [
        (f"{WORKSPACE}start", WORKSPACE),
        (f"{WORKSPACE}destroy", WORKSPACE),
        (f"{WORKSPACE}members/remove", WORKSPACE),
        (f"{WORKSPACE}tokens/{ID}/revoke", WORKSPACE),
        (f"/deployments/{ID}/destroy", f"/deployments/{ID}/"),
        (f"{BUILD}/cancel", BUILD),
        (f"{BUILD}/redeploy", BUILD),
        (f"/account/apps/{ID}/revoke", "/account/apps"),
        ("/account/browsers/7/end", "/account/apps"),
        ("/account/revoke-all", "/account/apps"),
    ],
)
def test_a_form_without_a_referer_leads_back_to_the_page_of_what_it_changes(path, page):
    assert _next(path) == page


def test_a_form_leads_back_to_the_page_it_was_on():
    assert _next(f"{WORKSPACE}start", Referer="http://testserver/workspaces/?page=2") == "/workspaces/?page=2"
    link = "http://testserver/connect/?link=not-a-secret#top"
    assert _next("/connect/", Referer=link) == "/connect/?link=not-a-secret"


@pytest.mark.parametrize(
    "referer",
    [
        f"http://testserver{WORKSPACE}destroy",
        "http://testserver/auth/sign-in",
        "http://testserver/api/integrations",
        "http://testserver//evil.example.com/workspaces/",
        "http://testserver/\\evil.example.com",
        "http://testserver.evil.example.com/workspaces/",
        "http://testserver@evil.example.com/workspaces/",
        "https://evil.example.com/workspaces/",
        "http://testserver/nothing-here",
        "http://testserver/workspaces/?" + "a" * 3000,
        "http://[",
        "workspaces/",
    ],
)
def test_a_referer_that_is_no_page_of_ours_counts_for_nothing(referer):
    assert _next(f"{WORKSPACE}start", Referer=referer) == WORKSPACE
