"""Connections in the operators' pages."""

import pytest
from django.utils import timezone

from integrations.models import Connection
from tests.operators import browser_of, connection_of, make_operator

pytestmark = pytest.mark.django_db
PATH = "/admin/integrations/connection/"


@pytest.fixture
def browser(db):
    return browser_of(make_operator())


@pytest.fixture
def connections(alice, bob):
    return {
        "working": connection_of(alice),
        "needs reconnect": connection_of(alice, "hubspot", needs_reconnect=True),
        "missing at Nango": connection_of(bob, "slack", missing_since=timezone.now()),
        "being made": connection_of(bob, "linear", state=Connection.State.CLAIMING),
        "being deleted": connection_of(bob, "github", state=Connection.State.DELETING),
    }


def shown(browser, **parameters):
    return {row.integration_id for row in browser.get(PATH, parameters).context["cl"].result_list}


def test_the_list_says_how_each_connection_is(browser, connections):
    html = browser.get(PATH).content.decode()
    for health, connection in connections.items():
        row = html[html.index(f"{connection.pk}/change/") :].partition("</tr>")[0]
        assert health in row


def test_the_list_is_filtered_by_what_needs_attention(browser, connections):
    assert shown(browser, attention="yes") == {"hubspot", "slack"}
    assert shown(browser, needs_reconnect__exact="1") == {"hubspot"}
    assert shown(browser, integration_id="linear") == {"linear"}
    assert shown(browser, state__exact="deleting") == {"github"}


def test_the_list_is_filtered_by_owner(browser, connections, alice):
    assert shown(browser, owner__id__exact=str(alice.pk)) == {"salesforce", "hubspot"}


@pytest.mark.parametrize("words", ["bob", "bob@example.com", "bob-slack"])
def test_connections_are_found_by_person_and_id(browser, connections, words):
    assert "slack" in shown(browser, q=words)
    assert "salesforce" not in shown(browser, q=words)


def test_a_connection_cannot_be_edited_added_or_deleted(browser, connections, bob):
    row = connections["working"]
    posts = [f"{PATH}{row.pk}/change/", f"{PATH}{row.pk}/delete/", f"{PATH}add/"]
    assert [browser.post(path, {"owner": str(bob.pk), "post": "yes"}).status_code for path in posts] == [403] * 3
    assert Connection.objects.get(pk=row.pk).owner_id == row.owner_id


def test_the_front_page_lists_failing_connections_with_their_owners(browser, connections):
    listed = browser.get("/admin/").context["troubled"]
    assert {row.integration_id for row in listed} == {"hubspot", "slack"}
