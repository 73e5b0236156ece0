"""Filters in the address of an operators' list: they tell nothing of what the list doesn't show."""

import pytest
from django.contrib import admin
from django.db import models
from django.urls import reverse

from accounts.models import CLILogin, User
from tests.operators import browser_of, log_a_tool_in, make_operator

pytestmark = pytest.mark.django_db
# What is secret in text. All columns of bytes are: digests, and what is sealed.
SECRET_TEXTS = {User: ("password",), CLILogin: ("code",)}
LOOKUPS = ("", "__exact", "__startswith", "__regex", "__gte", "__isnull", "__in")


@pytest.fixture
def browser(db):
    return browser_of(make_operator())


def steps(model):
    """The relations of a model, in either direction, with the model they lead to."""
    for field in model._meta.get_fields():
        if field.is_relation and field.related_model:
            yield field.name, field.related_model


def secrets_of(model):
    """The columns of a model that no filter may reach."""
    columns = (field for field in model._meta.concrete_fields if isinstance(field, models.BinaryField))
    return (*SECRET_TEXTS.get(model, ()), *(field.name for field in columns))


def ways_to_secrets(model):
    """The names by which a filter would reach a secret column: its own, or across one or two relations."""
    paths = [("", model)]
    paths += [(f"{name}__", other) for name, other in steps(model)]
    paths += [(f"{path}{name}__", third) for path, other in paths[1:] for name, third in steps(other)]
    return sorted({f"{path}{column}" for path, other in paths for column in secrets_of(other)})


def status_of(browser, model, parameter, value="1"):
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return browser.get(path, {parameter: value}).status_code


def tables():
    return sorted(admin.site._registry, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", tables(), ids=lambda model: model.__name__)
def test_no_filter_reaches_a_secret(browser, rf, model):
    allowed = admin.site._registry[model].lookup_allowed
    ways = [f"{way}{lookup}" for way in ways_to_secrets(model) for lookup in LOOKUPS]
    assert [way for way in ways if allowed(way, "1", rf.get("/"))] == []
    assert [way for way in ways[:: len(LOOKUPS)] if status_of(browser, model, way) != 400] == []


def test_a_filter_for_a_code_that_matches_answers_like_one_that_does_not(browser, alice):
    log_a_tool_in(alice)
    code = CLILogin.objects.get().code
    answers = [status_of(browser, CLILogin, "code__startswith", start) for start in (code[:3], "zzz")]
    assert answers == [400, 400]


@pytest.mark.parametrize("model", tables(), ids=lambda model: model.__name__)
def test_what_a_list_shows_can_be_filtered_by(browser, model):
    shown = {
        field.name
        for field in model._meta.concrete_fields
        if f"'{field.name}'" in str(admin.site._registry[model].fieldsets) and not field.is_relation
    }
    assert shown
    assert {name: status_of(browser, model, f"{name}__isnull", "0") for name in shown} == dict.fromkeys(shown, 200)
