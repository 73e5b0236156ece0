"""What of the libraries is used: published names alone, and none of their views that issue or describe a token."""

import ast
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

LIBRARIES = ("oauth2_provider", "oauthlib", "allauth")


def _names(tree: ast.AST):
    """Imported names, and attributes of `super()` and of classes of the libraries that begin with an underscore."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARIES):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                part for alias in node.names if alias.name.startswith(LIBRARIES) for part in alias.name.split(".")
            )
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "super()":
            yield node.attr


def test_no_private_name_of_theirs_is_used():
    private = {
        f"{path.name}: {name}"
        for path in (Path(settings.BASE_DIR) / "accounts").rglob("*.py")
        for name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if name.startswith("_") and not name.startswith("__")
    }
    assert private == set()


def test_none_of_the_toolkits_views_is_mounted():
    def views(resolver):
        for entry in resolver.url_patterns:
            if isinstance(entry, URLPattern):
                yield getattr(entry.callback, "__module__", "")
            elif isinstance(entry, URLResolver):
                yield from views(entry)

    assert [module for module in views(get_resolver()) if module.startswith("oauth2_provider")] == []


def test_none_of_the_toolkits_tables_is_made(db):
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    assert [name for name in names if name.startswith("oauth2_provider")] == []


def test_cleartokens_is_ours():
    """The toolkit's deletes refresh tokens that have no row of an access token, which is all of them here."""
    assert get_commands()["cleartokens"] == "accounts"
