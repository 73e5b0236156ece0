"""Addresses of the operators' admin that no link leads to: refused, whatever stands in them."""

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.urls import reverse

from tests.conftest import make_person
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
HUGE = "9" * 30
PATHS = ("%00", HUGE, "_00", "%FF%FE")
PARAMETERS = [
    ("o", HUGE),
    ("o", "-99.1"),
    ("p", HUGE),
    ("q", "\0"),
    ("q", "'(" * 500),
    ("_to_field", "x"),
    ("_facets", HUGE),
]
OF_TIMES = [("year", "99999"), ("date__year", HUGE), ("week_day", HUGE), ("iso_year", "0"), ("gte", "9999-99-99")]
OF_OTHERS = [("regex", "("), ("isnull", HUGE), ("gte", HUGE)]


@pytest.fixture
def browser(db):
    make_person("alice")
    return browser_of(make_operator())


def status_of(browser, path, parameters=None):
    """The status; what PostgreSQL refused there must not end the test's own transaction."""
    before = transaction.savepoint()
    status = browser.get(path, parameters).status_code
    transaction.savepoint_rollback(before)
    return status


def tables():
    return sorted(admin.site._registry, key=lambda model: model.__name__)


def lookups(model):
    for field in model._meta.concrete_fields:
        named = OF_TIMES if isinstance(field, models.DateField) else OF_OTHERS
        yield from ((f"{field.name}__{lookup}", value) for lookup, value in named)


@pytest.mark.slow(8)
@pytest.mark.parametrize("model", tables(), ids=lambda model: model.__name__)
def test_no_filter_order_page_or_search_crashes_a_list(browser, model):
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    statuses = {
        (name, value): status_of(browser, path, {name: value}) for name, value in [*PARAMETERS, *lookups(model)]
    }
    assert [asked for asked, status in statuses.items() if status >= 500] == []


@pytest.mark.parametrize("model", tables(), ids=lambda model: model.__name__)
def test_no_row_s_address_crashes_its_page(browser, model):
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    asked = [f"{path}{key}/{page}" for key in PATHS for page in ("change/", "history/")]
    assert [address for address in asked if status_of(browser, address) >= 500] == []


@pytest.mark.parametrize(
    "path", ["/admin/%00/", "/admin/accounts/user/%00/change/", "/deployments/%00/", "/%00", "/auth/%00"]
)
def test_a_nul_in_a_page_s_address_is_nowhere(browser, path):
    answer = browser.get(path)
    assert (answer.status_code, b"There is nothing at this address." in answer.content) == (404, True)
