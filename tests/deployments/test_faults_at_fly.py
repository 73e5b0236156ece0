"""Fly failing before and after each question that a push, a build and its flyctl ask."""

import pytest

from config.core import attempts
from config.core.errors import ApplicationError
from deployments.models import Build
from deployments.services import building
from tests.deployments.at_work import archive_of

pytestmark = pytest.mark.django_db(transaction=True)
MARKER = "this-is-the-build-of-shop"
FAULTS = {
    "cut before": {"drop": "before"},
    "cut after": {"drop": "after"},
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "slow": {"delay": 6},
}
OURS = ["POST */deploy_token", "POST */secrets"]
# These are asked again, by the job or by flyctl.
COSTS_NOTHING = ["POST */deploy_token"]
# flyctl asks a slow Fly for longer than tests should take.
FLYCTLS = [
    "GET /v1/apps/{app}$",
    "GET /v1/apps/{app}/machines$",
    "POST /v1/apps/{app}/machines$",
    "GET */machines/*/wait",
    "DELETE */lease",
]
CASES = [(question, fault) for question in OURS for fault in FAULTS] + [
    (question, fault) for question in FLYCTLS for fault in FAULTS if fault != "slow"
]


@pytest.fixture
def shop(work, alice):
    return work.prepared(alice)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The second try comes at once."""
    monkeypatch.setattr(attempts, "_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(("question", "fault"), CASES, ids=str)
def test_a_fault_at_any_question_costs_at_most_another_push(work, alice, shop, sandbox, question, fault):
    sandbox.faults(target="fly", match=question.format(app=shop.fly_app_id), **FAULTS[fault])

    build = push_and_build(work, alice)
    assert not sandbox.control("GET", "/faults")["faults"], "nobody asked that question"
    # A machine may be leased by a flyctl that is gone; that lasts five minutes.
    sandbox.fly_clock(advance=301)
    if build is None or build.state != Build.State.LIVE:
        assert question not in COSTS_NOTHING
        build = push_and_build(work, alice)

    work.require_whole(build, MARKER)
    # Each of them says what happened.
    assert all(other.error for other in Build.objects.exclude(pk=build.pk))


def push_and_build(work, alice):
    """The build of a push, carried out here and now; None where the push is refused."""
    try:
        build = work.push(alice, archive_of(MARKER), VITE_COLOR="red")
    except ApplicationError:
        return None
    building.run_build(build.pk)
    build.refresh_from_db()
    assert build.is_over
    return build
