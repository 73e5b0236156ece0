"""Rows have one order: those that are alike in what they are sorted by come as PostgreSQL pleases, else.

A list that is cut short would then leave out one today and another one tomorrow, and pages would lose what is between.
"""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import UniqueConstraint

OWN = ("accounts", "clouddev", "core", "deployments", "fly", "integrations")
ROOT = Path(__file__).resolve().parents[2]
# What tells each row from every other: its key, what no other of its kind has, or an order that ends with one of these.
TELLING = {"pk", "fly_app_id", "LATEST_FIRST"}
MODELS = [model for model in apps.get_models() if model._meta.app_label in OWN and model._meta.ordering]


def orders_in(source: str) -> list[tuple[int, str]]:
    """The line of each `order_by(…)` with anything in it, and how its last part is called."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "order_by"]
    return [(call.lineno, ast.unparse(call.args[-1]).strip("*'-")) for call in named]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_tables_own_order_tells_each_row_from_every_other(model):
    fields = [str(name).lstrip("-") for name in model._meta.ordering]
    together = [set(rule.fields) for rule in model._meta.constraints if isinstance(rule, UniqueConstraint)]
    alone = fields[-1] in {"pk", "id"} or model._meta.get_field(fields[-1]).unique
    assert alone or any(names and names <= set(fields) for names in together)


def test_whoever_sorts_rows_tells_each_from_every_other():
    unclear = [
        f"{path.relative_to(ROOT)}:{line} ends with {last}"
        for app in OWN
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
        for line, last in orders_in(path.read_text(encoding="utf-8"))
        if last not in TELLING
    ]
    assert unclear == []
