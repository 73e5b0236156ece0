"""POST /api/deploy/prepare: one app for each name, whatever breaks and however many ask."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from core.errors import ApplicationError
from deployments.models import Build, Deployment
from deployments.services import preparation
from deployments.services.access import NoSuchApp
from fly.clients.machines_api import Fly
from fly.models import CLAIM_LASTS, FlyApp
from fly.names import new_fly_name
from fly.services import fly_apps, reconciliation
from tests.conftest import APIClient, token_of
from tests.fly.fly_assertions import age, apps_at_fly, at_once, caller, changes_at_fly, kinds_at_fly

PATH = "/api/deploy/prepare"
State = Deployment.State
pytestmark = pytest.mark.django_db
BOTH = ["shared_v4", "v6"]


def prepare(api, name="shop"):
    return api.post(PATH, {"appName": name})


def one_app(sandbox):
    """The deployment, after seeing that it and its app are all there is, and whole."""
    deployment = Deployment.objects.get()
    assert deployment.state == State.READY
    assert apps_at_fly(sandbox) == {deployment.fly_app_id}
    assert kinds_at_fly(sandbox, deployment.fly_app_id) == BOTH
    return deployment


@pytest.mark.parametrize("name", ["", "s" * 215, "sh\nop", "sh\u200bop", "sh\u043ep"])
def test_a_name_that_no_app_may_have_is_refused(alice_api, sandbox, name):
    answer = prepare(alice_api, name)

    assert answer.status_code == 400
    assert not Deployment.objects.exists()
    assert sandbox.requests("fly") == []


@pytest.mark.parametrize("name", ["a", "shop", "my-shop-2", "@acme/Shop", "9_lives.js", "s" * 214])
def test_every_other_name_gets_an_app(alice, alice_api, sandbox, name):
    answer = prepare(alice_api, name)

    deployment = one_app(sandbox)
    assert (answer.status_code, answer.json()) == (200, {"data": {"appUrl": deployment.url}})
    assert deployment.url == f"{sandbox.fly_url}/apps/{deployment.fly_app_id}"
    assert (deployment.owner, deployment.app_name) == (alice, name)
    assert deployment.organization == alice.personal_organization


def test_the_app_at_fly_tells_nothing_of_its_name_or_owner(alice_api, sandbox):
    prepare(alice_api)

    assert "shop" not in str(apps_at_fly(sandbox))
    assert "alice" not in str(apps_at_fly(sandbox))


def test_it_is_in_the_audit_trail_once(alice, alice_api, sandbox):
    prepare(alice_api)
    prepare(alice_api)

    event = AuditEvent.objects.get(action="deployment.prepared")
    assert (event.actor_id, event.target_label) == (alice.pk, "shop")
    assert event.details == {"app": "shop", "fly_app": Deployment.objects.get().fly_app_id}


def test_a_second_call_answers_the_same_app_and_asks_fly_nothing(alice_api, sandbox):
    first = prepare(alice_api).json()
    sandbox.clear_requests()

    assert prepare(alice_api).json() == first
    assert sandbox.requests("fly") == []


def test_two_people_may_have_an_app_of_one_name_and_neither_sees_the_others(alice_api, charlie_api, sandbox):
    of_alice, of_charlie = prepare(alice_api).json(), prepare(charlie_api).json()

    assert of_alice != of_charlie
    assert len(apps_at_fly(sandbox)) == 2
    networks = {app["network"] for app in sandbox.state()["fly"]["apps"].values()}
    assert len(networks) == 2
    assert charlie_api.get("/api/deploy/status", appName="shop").json()["data"]["url"] == of_charlie["data"]["appUrl"]


def test_a_stranger_prepares_nothing(nobody_api, sandbox):
    assert prepare(nobody_api).status_code == 401
    assert not Deployment.objects.exists()


def test_without_a_token_for_fly_nothing_is_recorded(alice_api, settings):
    settings.FLY_API_TOKEN = ""

    answer = prepare(alice_api)

    assert answer.status_code == 503
    assert "FLY_API_TOKEN" in answer.json()["error"]
    assert not FlyApp.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_sixteen_calls_at_once_make_exactly_one_app(alice, sandbox):
    token = token_of(alice)

    answers = at_once(16, lambda _: prepare(APIClient(token)))

    deployment = one_app(sandbox)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["data"]["appUrl"] for answer in answers} == {deployment.url}
    assert FlyApp.objects.count() == 1
    assert changes_at_fly(sandbox).count("POST /v1/apps") == 1


FAULTS = [
    {"drop": "before", "times": 2},
    {"drop": "after", "times": 2},
    {"status": 500},
    {"status": 503},
    {"status": 401},
]


@pytest.mark.parametrize("step", ["POST /v1/apps$", "GET */ip_assignments", "POST */ip_assignments"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))
def test_after_a_fault_at_any_step_the_next_call_finishes(alice_api, sandbox, step, fault):
    sandbox.faults(target="fly", match=step, **fault)

    assert prepare(alice_api).status_code in {200, 502, 503}
    assert Deployment.objects.count() == 1
    sandbox.clear_faults()
    answer = prepare(alice_api)

    assert answer.json() == {"data": {"appUrl": one_app(sandbox).url}}


def test_a_failure_at_fly_is_told_and_the_intent_is_kept(alice_api, sandbox):
    sandbox.faults(target="fly", match="POST /v1/apps$", status=500)

    answer = prepare(alice_api)

    assert (answer.status_code, answer.json()) == (502, {"error": "Fly failed. Please try again in a moment."})
    assert Deployment.objects.get().state == State.PREPARING
    assert FlyApp.objects.get().state == FlyApp.State.INTENDED


def test_a_silent_fly_costs_its_budget_and_no_more(alice_api, sandbox, monkeypatch):
    monkeypatch.setattr(fly_apps.Fly.__init__, "__kwdefaults__", {"budget": 0.3})
    sandbox.faults(target="fly", match="POST /v1/apps$", delay=2)

    assert prepare(alice_api).status_code == 504
    assert Deployment.objects.get().state == State.PREPARING


def test_what_fly_says_in_its_errors_stays_in_our_log(alice_api, sandbox):
    sandbox.faults(target="fly", match="POST /v1/apps$", status=422, body={"error": "host 10.1.2.3 says fm2_secret"})

    assert prepare(alice_api).json() == {"error": REFUSED}


REFUSED = "Fly refuses this, and would do so again. Tell an operator: this server's log has Fly's reason."
UNPAID = "This server's account at Fly has to be settled before anything more can run. Tell its operator."
NO_QUOTA = "This server's quota at Fly is used up. Tell its operator."


@pytest.mark.parametrize(
    ("status", "text", "answered"),
    [
        (422, "Validation failed: org_slug is deactivated", (502, REFUSED)),
        (400, "invalid_argument: network", (502, REFUSED)),
        (402, "no reason", (503, UNPAID)),
        (403, "Your organization is past due, please update your credit card", (503, UNPAID)),
        (422, "You have reached the limit of apps", (503, NO_QUOTA)),
        (403, "over the allowed quota", (503, NO_QUOTA)),
    ],
)
def test_a_refusal_for_good_is_told_at_once_and_its_reason_to_operators(alice_api, sandbox, status, text, answered):
    sandbox.faults(target="fly", match="POST /v1/apps$", status=status, body={"error": f"{text} fm2_secret"}, times=0)
    other = fly_apps.intend(now=timezone.now())

    answer = prepare(alice_api)
    assert (answer.status_code, answer.json()["error"]) == answered
    prepare(alice_api)

    assert len(changes_at_fly(sandbox)) == 2
    assert FlyApp.objects.filter(pk=other.pk, refusal="").delete()[0] == 1
    row = FlyApp.objects.get()
    assert row.refusal == f"{text.lower()} [redacted]"
    assert AuditEvent.objects.get(action="fly_app.refused").details == {"reason": row.refusal}
    reconciliation.reconcile(now=timezone.now() + timedelta(minutes=10))
    assert len(changes_at_fly(sandbox)) == 2
    sandbox.clear_faults()
    assert prepare(alice_api).status_code == 200
    assert FlyApp.objects.get().refusal == ""


def test_an_app_that_is_not_made_yet_is_not_answered(alice_api, sandbox, monkeypatch):
    monkeypatch.setattr(preparation, "_PATIENCE_SECONDS", 0.3)
    sandbox.faults(target="fly", match="POST /v1/apps$", status=500)
    prepare(alice_api)
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now())
    sandbox.clear_requests()

    answer = prepare(alice_api)

    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "Fly is still setting this app up. Please try again in a moment."},
    )
    assert sandbox.requests("fly") == []
    FlyApp.objects.update(made_at=timezone.now())
    assert prepare(alice_api).json() == {"data": {"appUrl": Deployment.objects.get().url}}


def test_an_app_that_fly_has_lost_is_made_again_under_its_address(alice_api, sandbox):
    url = prepare(alice_api).json()
    app = FlyApp.objects.get()
    sandbox.remove_fly_app(app.pk)
    age(app, minutes=6)
    other = fly_apps.intend(now=timezone.now())
    FlyApp.objects.filter(pk=other.pk).update(state=FlyApp.State.READY, ready_at=timezone.now())

    assert prepare(alice_api).json() == url

    assert FlyApp.objects.filter(pk=other.pk, state=FlyApp.State.READY).delete()[0] == 1
    assert one_app(sandbox).fly_app_id == app.pk
    # To a question that it knows Fly would answer as before.
    assert FlyApp.objects.get().idempotency_key != app.idempotency_key
    assert AuditEvent.objects.filter(action="deployment.lost").count() == 1


def test_whoever_finds_it_lost_second_makes_it_where_the_first_could_not(alice_api, sandbox, monkeypatch):
    prepare(alice_api)
    app = FlyApp.objects.get()
    sandbox.remove_fly_app(app.pk)
    age(app, minutes=6)
    sandbox.faults(target="fly", match="POST /v1/apps$", status=500)
    real = Fly.get_app

    def another_finds_it_first(self, name):
        monkeypatch.setattr(Fly, "get_app", real)
        assert prepare(alice_api).status_code == 502
        return real(self, name)

    monkeypatch.setattr(Fly, "get_app", another_finds_it_first)
    assert prepare(alice_api).status_code == 200
    assert one_app(sandbox).fly_app_id == app.pk


def test_what_a_killed_process_left_is_finished_by_a_later_call(alice_api, sandbox):
    sandbox.faults(target="fly", match="POST */ip_assignments", status=500)
    prepare(alice_api)
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now() - 2 * CLAIM_LASTS)

    prepare(alice_api)

    one_app(sandbox)


def test_an_app_that_fly_does_not_see_yet_is_answered_and_finished_later(alice_api, sandbox, monkeypatch):
    monkeypatch.setattr(fly_apps.ensure, "__kwdefaults__", {"addresses": ("v6",), "patience": timedelta(seconds=0.1)})
    sandbox.fly_settings(app_lag_reads=50)

    answer = prepare(alice_api)

    deployment = Deployment.objects.get()
    assert answer.json() == {"data": {"appUrl": deployment.url}}
    assert deployment.state == State.PREPARING


def test_a_taken_name_is_replaced_by_another(alice_api, sandbox, monkeypatch):
    names = iter(["crayon-taken", "network-1", "crayon-free", "network-2"])
    monkeypatch.setattr(fly_apps, "new_fly_name", lambda: next(names))
    sandbox.add_fly_app("crayon-taken", org_slug="somebody-else")

    answer = prepare(alice_api)

    deployment = Deployment.objects.get()
    assert answer.json() == {"data": {"appUrl": deployment.url}}
    assert (deployment.state, deployment.fly_app_id) == (State.READY, "crayon-free")
    assert kinds_at_fly(sandbox, "crayon-taken") == []
    assert FlyApp.objects.get(pk="crayon-taken").state == FlyApp.State.GONE


def test_names_are_not_tried_for_ever(alice, sandbox, monkeypatch):
    names = [new_fly_name() for _ in range(20)]
    for name in names:
        sandbox.add_fly_app(name, org_slug="somebody-else")
    monkeypatch.setattr(fly_apps, "new_fly_name", iter(names).__next__)

    monkeypatch.setattr(preparation, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(fly_apps.StillChanging):
        preparation.prepare(caller=caller(alice), app_name="shop", now=timezone.now())

    assert Deployment.objects.get().state == State.PREPARING
    assert FlyApp.objects.filter(state=FlyApp.State.GONE).count() == 3


def test_an_app_that_is_being_removed_is_not_answered(alice_api, sandbox):
    prepare(alice_api)
    Deployment.objects.update(state=State.DESTROYING)

    answer = prepare(alice_api)

    assert answer.status_code == 409
    assert answer.json() == {"error": "This app is being removed. Please try again in a minute."}


def test_finishing_tells_what_is_not_there_or_going(alice_api, sandbox):
    with pytest.raises(NoSuchApp):
        preparation.finish(deployment_id=uuid.uuid4(), now=timezone.now())
    prepare(alice_api)
    Deployment.objects.update(state=State.DESTROYING)

    with pytest.raises(preparation.BeingRemoved):
        preparation.finish(deployment_id=Deployment.objects.get().pk, now=timezone.now())


def test_the_quota_names_the_app_that_has_been_idle_the_longest(alice, alice_api, sandbox, settings):
    settings.DEPLOYMENTS_PER_PERSON = 2
    prepare(alice_api, "older")
    prepare(alice_api, "newer")
    Build.objects.create(
        deployment=Deployment.objects.get(app_name="older"),
        organization=alice.personal_organization,
        created_at=timezone.now(),
    )

    answer = prepare(alice_api, "third")

    assert (answer.status_code, answer.json()) == (
        409,
        {
            "error": "You have 2 apps, which is the most you may have. Remove one that you no longer need at "
            "http://testserver/deployments/ and try again; “newer” has been idle the longest."
        },
    )
    assert Deployment.objects.count() == 2
    assert FlyApp.objects.count() == 2
    assert prepare(alice_api, "older").status_code == 200


def test_what_is_still_being_removed_counts(alice_api, sandbox, settings):
    settings.DEPLOYMENTS_PER_PERSON = 1
    prepare(alice_api)
    Deployment.objects.update(state=State.DESTROYING)

    answer = prepare(alice_api, "next")

    assert answer.status_code == 409
    assert "being removed" in answer.json()["error"]


def test_the_quota_is_each_persons_own(alice_api, bob_api, sandbox, settings):
    settings.DEPLOYMENTS_PER_PERSON = 1

    assert [prepare(api).status_code for api in (alice_api, bob_api)] == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_do_not_pass_the_quota(alice, sandbox, settings):
    settings.DEPLOYMENTS_PER_PERSON = 3
    token = token_of(alice)

    answers = at_once(12, lambda number: prepare(APIClient(token), f"app-{number}"))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 9
    assert Deployment.objects.count() == 3
    assert len(apps_at_fly(sandbox)) == 3


def test_a_person_can_not_keep_fly_busy(alice_api, sandbox):
    sandbox.faults(target="fly", status=500, times=0)

    statuses = [prepare(alice_api).status_code for _ in range(61)]

    assert statuses == [502] * 60 + [429]


def test_it_raises_only_what_a_caller_may_be_told(alice, sandbox):
    sandbox.faults(target="fly", status=418, times=0)

    with pytest.raises(ApplicationError):
        preparation.prepare(caller=caller(alice), app_name="shop", now=timezone.now())
