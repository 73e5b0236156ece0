"""HEAD wherever GET is: every route gives GET's status and headers without a body, and nothing is used up or kept."""

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.oauth import keys as signing_keys
from tests.access.fixtures import Scene, browser_of, headers_of, row_of
from tests.access.test_every_route import CALLS, PAGES, as_if_never_been, scene, visitor

__all__ = ["scene"]

pytestmark = pytest.mark.django_db
_DIFFERENT_EACH_TIME = {"X-Request-ID", "Expires", "Set-Cookie"}
# That somebody was here is noted whatever they asked: when the token and the browser were used last.
_SEEN = {"django_session", "usersessions_usersession"}


def everything() -> set[tuple[str, int, int]]:
    """What all tables hold, as one number each: a set, as PostgreSQL may read the tables side by side."""
    tables = sorted({model._meta.db_table for model in apps.get_models() if model._meta.managed} - _SEEN)
    one = "SELECT '{0}', count(*), coalesce(sum(hashtext(t::text)::bigint), 0) FROM \"{0}\" t"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(one.format(table) for table in tables))
        return set(cursor.fetchall())


def both(client: Client, path: str, headers: dict[str, str]) -> dict[str, object]:
    """Ask by GET and by HEAD; gives what is not as it should be."""
    with as_if_never_been():
        asked = client.get(path, headers=headers)
    with as_if_never_been():
        before = everything()
        looked = client.head(path, headers=headers)
        kept = everything() - before
    different = {
        name
        for name in {*asked.headers, *looked.headers} - _DIFFERENT_EACH_TIME
        if asked.headers.get(name) != looked.headers.get(name)
    }
    if not path.startswith("/api/"):
        # A page that says how long ago something was may be longer a second later.
        different.discard("Content-Length")
    if (asked.status_code, different, looked.content, kept) == (looked.status_code, set(), b"", set()):
        return {}
    return {path: (asked.status_code, looked.status_code, different, len(looked.content), kept)}


def paths(entries) -> list[str]:
    return sorted({entry.path for of_route in entries.values() for entry in of_route})


@pytest.mark.parametrize("caller", ["alice", "nobody"])
def test_the_whole_api_answers_head_like_get_and_changes_nothing(scene: Scene, caller):
    headers, wrong = headers_of(caller, scene), {}
    browser_of(None).get("/api/integrations", headers=headers)
    # Whoever is the first to ask for the published keys, by whatever method, has them made.
    signing_keys.ensure(now=timezone.now())
    for path in paths(CALLS):
        wrong |= both(browser_of(None), scene.say(path), headers)
    assert wrong == {}


@pytest.mark.slow(18)
@pytest.mark.parametrize("kind", ["alice", "superuser", "nobody"])
def test_every_page_answers_head_like_get_and_changes_nothing(scene: Scene, kind):
    client, headers = visitor(kind, scene)
    wrong: dict[str, object] = {}
    for path in paths(PAGES):
        # An operator's pages are closed to others all alike.
        if path.startswith("/admin/") == (kind == "superuser"):
            wrong |= both(client, scene.say(path, **{"{object}": row_of(path, scene)}), headers)
    dev_ui = scene.say("/auth/dev-ui?app={dev}")
    # A redirect is nothing but its headers, and this one's has a token.
    assert wrong == ({dev_ui: (302, 302, {"Location"}, 0, set())} if kind == "alice" else {})
