"""Fly failing before and after each question that a push, a build and its flyctl ask."""

import pytest

from core import leases
from core.errors import ApplicationError
from deployments.models import Build
from deployments.services import building
from tests.deployments.worker_harness import archive_of

pytestmark = pytest.mark.django_db(transaction=True)
MARKER = "this-is-the-build-of-shop"
FAULTS = {
    "cut before": {"drop": "before"},
    "cut after": {"drop": "after"},
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "slow": {"delay": 6},
    "a little slow": {"delay": 2},
}
OURS = ["POST */deploy_token", "POST */secrets"]
# These are asked again, by the job or by flyctl.
COSTS_NOTHING = ["POST */deploy_token"]
# A second deployment changes the machine that is there. What both ask in the same way is tried once.
_ASKING, _DOING = ["cut before", "500"], ["cut before", "cut after", "500", "429"]
FIRST = {
    "GET /v1/apps/{app}$": _ASKING,
    "GET /v1/apps/{app}/machines$": _ASKING,
    "POST /v1/apps/{app}/machines$": [*_DOING, "503"],
    "GET */machines/*/wait": _ASKING,
    "DELETE */lease": ["cut after", "500"],
}
SECOND = {
    "POST */machines/{machine}/lease": [*_DOING, "a little slow"],
    "POST /v1/apps/{app}/machines/{machine}$": [*_DOING, "a little slow"],
    "GET */machines/{machine}/wait": _ASKING,
    "DELETE */machines/{machine}/lease": ["cut before"],
}
# flyctl asks a slow Fly for longer than tests should take.
FIRST_CASES = [(question, fault) for question in OURS for fault in FAULTS if fault not in {"503", "a little slow"}] + [
    (question, fault) for question, faults in FIRST.items() for fault in faults
]
SECOND_CASES = [(question, fault) for question, faults in SECOND.items() for fault in faults]


@pytest.fixture
def shop(work, alice):
    return work.prepared(alice)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The second try comes at once."""
    monkeypatch.setattr(leases, "_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(("question", "fault"), FIRST_CASES, ids=str)
def test_a_fault_at_any_question_costs_at_most_another_push(work, alice, shop, sandbox, question, fault):
    require_at_most_another_push(work, alice, sandbox, question.format(app=shop.fly_app_id), fault)


@pytest.mark.parametrize(("question", "fault"), SECOND_CASES, ids=str)
def test_so_does_one_while_the_machine_of_an_earlier_build_is_changed(work, alice, shop, sandbox, question, fault):
    first = push_and_build(work, alice)
    assert first.state == Build.State.LIVE
    (machine,) = sandbox.state()["fly"]["machines"]

    match = question.format(app=shop.fly_app_id, machine=machine)
    require_at_most_another_push(work, alice, sandbox, match, fault, before=[first])

    assert list(sandbox.state()["fly"]["machines"]) == [machine]


def require_at_most_another_push(work, alice, sandbox, match, fault, *, before=()):
    sandbox.faults(target="fly", match=match, **FAULTS[fault])

    build = push_and_build(work, alice)
    assert not sandbox.control("GET", "/faults")["faults"], "nobody asked that question"
    # A machine may be leased by a flyctl that is gone; that lasts five minutes.
    sandbox.fly_clock(advance=301)
    if build is None or build.state != Build.State.LIVE:
        assert match not in COSTS_NOTHING
        build = push_and_build(work, alice)

    work.require_whole(build, MARKER)
    # Each of them says what happened.
    others = Build.objects.exclude(pk__in=[build.pk, *(other.pk for other in before)])
    assert all(other.error for other in others)


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
