"""A machine of a suspended organization is closed to its people, by every address there is for machines."""

import re
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization
from clouddev.models import CronJob, Machine, Member, Offer, WebhookToken
from core import rate_limits
from tests.access.clouddev_table import CLOUDDEV_CALLS
from tests.access.entries import Call, Visit
from tests.access.fixtures import Scene, headers_of
from tests.access.test_every_route import _cases, ask, browser_of, go
from tests.access.workspace_table import WORKSPACES

pytestmark = pytest.mark.django_db
CLOSED = "The organization of this workspace is suspended. Ask an operator of this server to restore it."
# What is asked of a list or of a status is answered as if there were no machine.
NOTHING = {
    "/api/cloud-dev/list": [],
    "/api/cloud-dev/offers": [],
    "/api/cloud-dev/offers/made": [],
    "/api/cloud-dev/status?appName=studio": {"status": "not_found", "url": None},
}
# Whoever's very own machine it is may know why; and may still get rid of it.
TOLD_WHY = {"/api/cloud-dev/create", "/api/cloud-dev/transfer"}
DESTROY = "/api/cloud-dev/destroy"


@pytest.fixture
def scene(db: None, sandbox: Any) -> Scene:
    scene = Scene(sandbox)
    suspended = Organization.objects.create(slug="acme", name="Acme", suspended_at=timezone.now())
    Machine.objects.filter(pk=scene.machine.pk).update(organization=suspended)
    sandbox.clear_requests()
    return scene


def all_of_it(scene: Scene) -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Machine, Member, CronJob, Offer, WebhookToken)]


@pytest.mark.parametrize("caller", ["alice", "member"])
@pytest.mark.parametrize("call", _cases(CLOUDDEV_CALLS))
def test_the_api_is_closed(scene: Scene, sandbox: Any, call: Call, caller: str) -> None:
    before = all_of_it(scene)
    rate_limits.forget_all()
    answer = ask(browser_of(None), scene, call, headers_of(caller, scene), {})
    is_own = caller == "alice"
    if call.path == DESTROY and is_own:
        assert answer.status_code == 200
        return
    if call.path == "/api/cloud-dev/create" and not is_own:
        assert answer.json()["data"]["flyAppName"] != scene.words["{dev}"]
        return
    if "/revoked-tokens" in call.path:
        # It is no one's in particular: what a machine may hear stays open to it.
        return
    if call.path in NOTHING:
        assert (answer.status_code, answer.json()) == (200, {"data": NOTHING[call.path]})
    elif call.path in TOLD_WHY and is_own:
        assert (answer.status_code, answer.json()) == (403, {"error": CLOSED})
    else:
        assert answer.status_code == 404
        absent = ask(browser_of(None), scene, call, headers_of(caller, scene), call.absent)
        assert absent.content == answer.content
    assert all_of_it(scene) == before
    assert sandbox.requests("fly") == []


@pytest.mark.parametrize("kind", ["alice", "member"])
@pytest.mark.parametrize("visit", _cases(WORKSPACES))
def test_the_pages_are_closed(scene: Scene, sandbox: Any, visit: Visit, kind: str) -> None:
    before = all_of_it(scene)
    answer = go(browser_of(scene.alice if kind == "alice" else scene.member), scene, visit, {})
    if visit.path in {"/workspaces", "/workspaces/", "/workspaces/states"}:
        assert answer.status_code in {200, 302}
    else:
        assert answer.status_code in {403, 404, 405}
    assert not re.search("studio|PRIVATE KEY|crayon-dev-", answer.content.decode())
    assert all_of_it(scene) == before
    assert sandbox.requests("fly") == []


def test_a_machine_that_could_not_be_made_is_not_made_anew_there(scene: Scene) -> None:
    Machine.objects.update(state=Machine.State.FAILED)
    create = CLOUDDEV_CALLS["api/cloud-dev/create"][0]
    assert ask(browser_of(None), scene, create, headers_of("alice", scene), {}).json() == {"error": CLOSED}
    assert Machine.objects.get().state == Machine.State.FAILED


def test_it_opens_again_with_the_organization(scene: Scene) -> None:
    Organization.objects.update(suspended_at=None)
    key = CLOUDDEV_CALLS["api/cloud-dev/ssh-key"][0]
    assert ask(browser_of(None), scene, key, headers_of("alice", scene), {}).status_code == 200
