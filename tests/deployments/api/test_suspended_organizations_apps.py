"""An app of a suspended organization, asked for with a token that is for another organization of the same person."""

import pytest
from django.utils import timezone

from accounts.models import AccessToken, Membership, Organization
from deployments.models import Build, Deployment
from fly.models import FlyApp
from tests.deployments.builders import make_build, make_deployment

pytestmark = pytest.mark.django_db
NOT_FOUND = {"data": {"status": "not_found", "url": None, "commit": None}}
NO_APP = {"error": "You have no app of this name. Prepare it first."}
SENTENCE = (
    "Your app of this name belongs to an organization that is suspended. "
    "Ask an operator of this server to restore it, or choose another name."
)


@pytest.fixture
def shop(alice, sandbox) -> Deployment:
    """alice's app in an organization that is suspended; her token is for her own."""
    closed = Organization.objects.create(slug="closed", name="Closed", suspended_at=timezone.now())
    Membership.objects.create(organization=closed, user=alice, role=Membership.Role.MEMBER)
    app = make_deployment(alice, organization=closed)
    make_build(app, state=Build.State.LIVE, log="its log\n")
    return app


def test_its_status_is_that_of_an_app_that_is_not_there(alice_api, shop):
    answer = alice_api.get("/api/deploy/status", appName="shop")
    assert (answer.status_code, answer.json()) == (200, NOT_FOUND)


@pytest.mark.parametrize("path", ["logs", "builds"])
def test_nothing_of_it_can_be_read(alice_api, shop, path):
    answer = alice_api.get(f"/api/deploy/{path}", appName="shop")
    assert (answer.status_code, answer.json()) == (404, NO_APP)


@pytest.mark.parametrize(("path", "more"), [("cancel", {}), ("push", {"archive": "aaaa"})])
def test_nothing_can_be_done_with_it(alice_api, shop, path, more):
    answer = alice_api.post(f"/api/deploy/{path}", {"appName": "shop", **more})
    assert (answer.status_code, answer.json()) == (404, NO_APP)


@pytest.mark.parametrize("state", Deployment.State.values)
def test_it_is_not_prepared_again_and_the_person_hears_why(alice_api, shop, sandbox, state):
    Deployment.objects.update(state=state)
    FlyApp.objects.update(state=FlyApp.State.INTENDED)

    answer = alice_api.post("/api/deploy/prepare", {"appName": "shop"})

    assert (answer.status_code, answer.json()) == (403, {"error": SENTENCE})
    assert sandbox.requests("fly") == []


def test_all_is_there_again_for_its_own_tokens_once_the_organization_is_restored(alice_api, shop):
    Organization.objects.update(suspended_at=None)
    AccessToken.objects.update(organization=shop.organization)

    assert alice_api.get("/api/deploy/status", appName="shop").json()["data"]["status"] == "running"
    assert alice_api.get("/api/deploy/logs", appName="shop", offset="0").json()["data"]["buildLog"] == "its log\n"
    assert alice_api.post("/api/deploy/prepare", {"appName": "shop"}).json() == {"data": {"appUrl": shop.url}}
