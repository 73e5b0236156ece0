"""What each method of the API needs of the credential: said for every one, and asked before the method runs."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIRequestFactory

from accounts.principals import SCOPES
from core.api import Endpoint
from core.needs import Needs, OutsideOfScope, OwnLoginOnly, PeopleOnly

_METHODS = ("get", "post", "put", "patch", "delete")


def endpoints(resolver: URLResolver) -> Iterator[type[Endpoint]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from endpoints(entry)
        elif isinstance(entry, URLPattern):
            view: Any = getattr(entry.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, Endpoint):
                yield view


ENDPOINTS = sorted(set(endpoints(get_resolver())), key=lambda view: f"{view.__module__}.{view.__name__}")
CLOSED = [view for view in ENDPOINTS if view.authentication_classes]


def test_there_are_some():
    assert len(CLOSED) > 20


@pytest.mark.parametrize("view", ENDPOINTS, ids=lambda view: f"{view.__module__}.{view.__name__}")
def test_every_method_says_what_it_needs_of_a_credential(view):
    methods = {method.upper() for method in _METHODS if hasattr(view, method)}
    assert set(view.needs) == (methods if view.authentication_classes else set())
    assert {need.scope for need in view.needs.values()} <= {None, *SCOPES}
    for method, need in view.needs.items():
        if need.scope and need.scope.endswith(":read"):
            assert method == "GET", "what changes something needs more than reading"


def test_a_method_of_which_nothing_is_said_is_refused(alice_api, monkeypatch):
    class Silent(Endpoint):
        def get(self, request: Any) -> None:
            raise AssertionError("it ran")

    answer = Silent.as_view()(
        APIRequestFactory().get("/api/silent", headers={"Authorization": f"Bearer {alice_api.token}"})
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("need", "may", "person", "own", "outcome"),
    [
        (Needs("tools:use"), True, True, False, ""),
        (Needs("tools:use"), False, True, False, "OutsideOfScope"),
        (Needs(None), False, True, False, ""),
        (Needs("tools:use"), True, False, False, "PeopleOnly"),
        (Needs("tools:use", people_only=False), True, False, False, ""),
        (Needs("tools:use", people_only=False), False, False, False, "OutsideOfScope"),
        (Needs("tools:use", own_login=True), True, True, False, "OwnLoginOnly"),
        (Needs("tools:use", own_login=True), True, True, True, ""),
        (Needs(None, own_login=True), True, True, False, "OwnLoginOnly"),
    ],
)
def test_what_a_need_lets_in(need, may, person, own, outcome):
    class Asker:
        is_person, is_own_login = person, own

        def may(self, scope: str) -> bool:
            assert scope == "tools:use"
            return may

    refused = {"PeopleOnly": PeopleOnly, "OwnLoginOnly": OwnLoginOnly, "OutsideOfScope": OutsideOfScope}
    with pytest.raises(refused[outcome]) if outcome else nullcontext():
        need.require(Asker())
