"""A machine that is offered to somebody is nothing to them before they accept, by every address there is."""

from typing import Any

import pytest

from accounts.models import User
from tests.access.clouddev_table import CLOUDDEV_CALLS
from tests.access.fixtures import Scene
from tests.access.test_every_route import _without_forms, as_if_never_been, ask, browser_of, go
from tests.access.workspace_table import WORKSPACES
from tests.clouddev.builders import make_offer
from tests.conftest import make_person, token_of

pytestmark = pytest.mark.django_db
# What tells of offers, and nothing else.
OFFERS = {"/api/cloud-dev/offers", "/workspaces/"}


@pytest.fixture
def scene(db: None, sandbox: Any) -> Scene:
    return Scene(sandbox)


@pytest.fixture
def charlie(db: None) -> User:
    return make_person("charlie")


def with_and_without(scene: Scene, charlie: User, ask_it: Any) -> list[Any]:
    """What charlie is told while alice's machine is offered to them in both ways, and what while it isn't."""
    answers = []
    for kinds in (("member", "transfer"), ()):
        with as_if_never_been():
            for kind in kinds:
                make_offer(scene.machine, charlie, kind)
            answers.append(ask_it())
    return answers


def test_the_api_answers_as_if_nothing_were_offered(scene, charlie):
    headers = {"Authorization": f"Bearer {token_of(charlie)}"}
    calls = [call for calls in CLOUDDEV_CALLS.values() for call in calls if call.path not in OFFERS]
    assert len(calls) > 20
    for call in calls:
        offered, not_offered = with_and_without(
            scene, charlie, lambda call=call: ask(browser_of(None), scene, call, headers, {})
        )
        assert (offered.status_code, offered.json().keys()) == (not_offered.status_code, not_offered.json().keys())
        if call.path == "/api/cloud-dev/create":
            # It is one of their own, with a name and a key of its own, and nothing is said of another.
            assert offered.json()["data"].keys() == {"appUrl", "flyAppName", "sshPrivateKey"}
            assert offered.json()["data"]["flyAppName"] != scene.words["{dev}"]
        else:
            assert offered.content == not_offered.content, call.path


def test_pages_answer_as_if_nothing_were_offered(scene, charlie):
    visits = [visit for visits in WORKSPACES.values() for visit in visits if visit.path not in OFFERS]
    assert len(visits) > 20
    for visit in visits:
        offered, not_offered = with_and_without(
            scene, charlie, lambda visit=visit: go(browser_of(charlie), scene, visit, {})
        )
        assert offered.status_code == not_offered.status_code
        assert _without_forms(offered) == _without_forms(not_offered), visit.path


def test_the_list_of_workspaces_tells_the_offer_and_nothing_that_leads_to_the_machine(scene, charlie):
    make_offer(scene.machine, charlie)
    page = browser_of(charlie).get("/workspaces/").content.decode()
    assert "Offered to you" in page
    for word in ("{dev}", "{machine}"):
        assert scene.words[word] not in page
