"""Comparing what is in deployments' apps at Fly with the one machine that belongs there."""

import logging
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.models import Build, Deployment
from deployments.services import building
from fly.clients.machines_api import Fly, FlyFailed
from fly.models import Discrepancy, FlyApp
from fly.services import reconciliation
from tests.deployments.builders import IMAGE, make_build, make_deployment
from tests.deployments.worker_harness import archive_of
from tests.fly.deleting import delete_machine
from tests.fly.fly_assertions import age, changes_at_fly
from tests.operators import PASSWORD, make_operator

Kind = Discrepancy.Kind
State = Build.State
LIST = "GET /v1/orgs/sandbox/machines"
MANAGED = {"fly_platform_version": "v2", "fly_process_group": "app"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(alice, sandbox):
    """alice's app, live with its machine for an hour."""
    deployment = make_deployment(alice, "shop")
    age(deployment.fly_app, minutes=70)
    sandbox.add_fly_app(deployment.fly_app_id, network=deployment.fly_app.network)
    make_build(deployment, state=State.LIVE, created_at=timezone.now() - timedelta(hours=1))
    add_machine(deployment)
    sandbox.clear_requests()
    return deployment


def add_machine(deployment, *, image=IMAGE, **metadata):
    """A machine in the app, as flyctl makes it unless said otherwise; gives its id."""
    config = {"image": image, "metadata": metadata or MANAGED}
    fly = Fly.from_settings()
    count = len(fly.list_machines(deployment.fly_app_id))
    return fly.create_machine(deployment.fly_app_id, name=f"app-{count}", region="iad", config=config).id


def add_volume(deployment):
    compute = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512}
    return (
        Fly.from_settings()
        .create_volume(deployment.fly_app_id, name="data", region="iad", size_gb=1, compute=compute)
        .id
    )


def machines_of(deployment):
    return [machine.id for machine in Fly.from_settings().list_machines(deployment.fly_app_id)]


def delete_machines(deployment):
    for machine_id in machines_of(deployment):
        delete_machine(Fly.from_settings(), deployment.fly_app_id, machine_id)


def reconcile(*, after=timedelta()):
    """What a run, so much later, counts but zeros."""
    counts = reconciliation.reconcile(now=timezone.now() + after)
    return {name: count for name, count in vars(counts).items() if count}


def found():
    return dict(Discrepancy.objects.values_list("kind", "sentence"))


def test_what_flyctl_has_made_is_as_it_should_be_until_somebody_takes_it_away(work, alice, sandbox):
    deployment = work.prepared(alice)
    build = work.push(alice, archive_of("shop"))
    building.run_build(build.pk)
    assert Build.objects.get(pk=build.pk).state == State.LIVE
    later = timedelta(minutes=10)
    assert reconcile(after=later) == {"seen": 1}

    delete_machines(deployment)

    assert reconcile(after=later) == {"seen": 1, "empty": 1}


def test_a_live_app_with_its_machine_costs_no_further_question(shop, sandbox):
    assert reconcile() == {"seen": 1}

    assert [entry["path"] for entry in sandbox.requests("fly")] == ["/v1/apps", "/v1/orgs/sandbox/machines"]


def test_a_machine_at_rest_is_a_machine(shop, sandbox):
    sandbox.fly_machine(machines_of(shop)[0], state="stopped")

    assert reconcile() == {"seen": 1}


def test_a_second_machine_that_flyctl_manages_is_told(shop):
    add_machine(shop)

    assert reconcile() == {"seen": 1, "surplus": 1}

    (sentence,) = found().values()
    assert sentence.startswith("A deployment has one machine, but flyctl manages 2: ")


def test_a_machine_that_nobody_here_has_made_is_told_and_left_alone(shop, sandbox):
    strange = add_machine(shop, made_by="hand")
    sandbox.clear_requests()

    for _ in range(2):
        assert reconcile(after=timedelta(hours=1)) == {"seen": 1, "unknown": 1}

    assert found() == {Kind.UNKNOWN: f"No build made these machines in the app: {strange}."}
    assert changes_at_fly(sandbox) == []


def test_a_machine_in_an_app_that_was_never_built_is_told(alice, sandbox):
    deployment = make_deployment(alice, "empty")
    sandbox.add_fly_app(deployment.fly_app_id, network=deployment.fly_app.network)
    add_machine(deployment, made_by="hand")

    assert reconcile() == {"seen": 1, "unknown": 1}


def test_the_machine_that_a_failed_first_build_left_is_no_stranger(alice, shop):
    Build.objects.update(state=State.FAILED)

    assert reconcile() == {"seen": 1}


def test_an_app_of_which_no_build_was_released_needs_no_machine(shop):
    Build.objects.update(state=State.FAILED, released_at=None, image="")
    delete_machines(shop)

    assert reconcile() == {"seen": 1}


def test_a_volume_is_told(shop, sandbox):
    volume = add_volume(shop)

    assert reconcile() == {"seen": 1, "unknown": 1}
    assert found() == {Kind.UNKNOWN: f"Deployments have no volumes, but this app has: {volume}."}


def test_many_strange_things_fit_into_a_sentence(shop):
    for _ in range(3):
        add_machine(shop, made_by="hand")
        add_volume(shop)
    assert reconcile() == {"seen": 1, "unknown": 1}
    assert " more" not in found()[Kind.UNKNOWN]
    for _ in range(2):
        add_machine(shop, made_by="hand")
        add_volume(shop)

    assert reconcile() == {"seen": 1, "unknown": 1}
    assert found()[Kind.UNKNOWN].count(" and 2 more.") == 2


@pytest.mark.parametrize("state", [State.LIVE, State.RELEASED])
def test_a_released_app_without_a_machine_is_told(shop, sandbox, state):
    Build.objects.update(state=state)
    delete_machines(shop)

    assert reconcile() == {"seen": 1, "empty": 1}
    assert found() == {
        Kind.EMPTY: "A build of this app is released, but Fly has no machine that runs it. Deploy its image again."
    }
    assert Deployment.objects.get().state == Deployment.State.READY


def test_an_app_whose_later_build_failed_is_to_have_its_machine_all_the_same(shop, sandbox):
    make_build(shop, state=State.FAILED, created_at=timezone.now() - timedelta(minutes=20))
    delete_machines(shop)

    assert reconcile() == {"seen": 1, "empty": 1}


@pytest.mark.parametrize("state", [State.QUEUED, State.BUILDING])
def test_nothing_is_said_while_a_build_is_under_way(shop, state):
    add_machine(shop)
    add_machine(shop, made_by="hand")
    make_build(shop, state=state, created_at=timezone.now() - timedelta(minutes=30))

    assert reconcile() == {"seen": 1}


def test_nothing_is_said_before_fly_sees_everywhere_what_a_build_has_changed(shop, sandbox):
    make_build(shop, state=State.LIVE, created_at=timezone.now() - timedelta(minutes=2))
    delete_machines(shop)

    assert reconcile() == {"seen": 1}
    assert reconcile(after=timedelta(minutes=6)) == {"seen": 1, "empty": 1}


def test_nothing_is_said_of_an_app_that_is_being_removed(shop):
    add_machine(shop)
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    # By a process that is at it right now.
    FlyApp.objects.update(claim=uuid.uuid4(), claimed_at=timezone.now())

    assert reconcile() == {"seen": 1}


def test_a_list_that_is_behind_is_not_believed(shop, sandbox):
    sandbox.faults(target="fly", match=LIST, body={"machines": [], "next_cursor": "", "error_regions": []})

    assert reconcile() == {"seen": 1}


def test_an_app_that_is_gone_by_the_second_question_is_passed_over(shop, sandbox):
    add_machine(shop)
    sandbox.faults(target="fly", match=f"GET /v1/apps/{shop.fly_app_id}/machines", status=404)

    assert reconcile() == {"seen": 1}


def test_what_is_resolved_is_forgotten_and_what_stays_keeps_its_beginning(shop, sandbox):
    strange, second = add_machine(shop, made_by="hand"), add_machine(shop)
    assert reconcile() == {"seen": 1, "surplus": 1, "unknown": 1}
    began = Discrepancy.objects.get(kind=Kind.SURPLUS).first_seen_at
    delete_machine(Fly.from_settings(), shop.fly_app_id, strange)

    assert reconcile(after=timedelta(minutes=5)) == {"seen": 1, "surplus": 1}

    kept = Discrepancy.objects.get()
    assert (kept.kind, kept.first_seen_at) == (Kind.SURPLUS, began)
    delete_machine(Fly.from_settings(), shop.fly_app_id, second)
    assert reconcile(after=timedelta(minutes=10)) == {"seen": 1}
    assert found() == {}


@pytest.mark.parametrize("question", [LIST, "GET /v1/apps/*/machines", "GET /v1/apps/*/volumes"])
def test_while_fly_can_not_be_asked_nothing_changes(shop, sandbox, caplog, question):
    caplog.set_level(logging.INFO, logger=reconciliation.__name__)
    add_machine(shop)
    reconcile()
    before = found()
    assert set(before) == {Kind.SURPLUS}
    sandbox.add_fly_app("somebodys-app")
    caplog.clear()
    sandbox.faults(target="fly", match=question, status=500, times=0)

    with pytest.raises(FlyFailed):
        reconcile()

    # What was asked before is recorded, and said.
    assert found() == {**before, Kind.STRANGER: found()[Kind.STRANGER]}
    assert [record.getMessage() for record in caplog.records if record.name == reconciliation.__name__] == [
        "compared with Fly: strangers 1"
    ]


def test_while_a_region_can_not_be_asked_nothing_changes(shop, sandbox):
    add_machine(shop)
    reconcile()
    delete_machines(shop)
    page = {"machines": [], "next_cursor": "", "error_regions": ["gru"]}
    sandbox.faults(target="fly", match=LIST, body=page)

    assert reconcile() == {"seen": 1}
    assert set(found()) == {Kind.SURPLUS}
    assert reconcile() == {"seen": 1, "empty": 1}
    assert set(found()) == {Kind.EMPTY}


def test_without_deployments_the_machines_are_not_asked_about(sandbox, db):
    assert reconcile() == {}

    assert [entry["path"] for entry in sandbox.requests("fly")] == ["/v1/apps"]


def test_operators_read_it_with_the_name_of_the_deployment(shop, client):
    strange = add_machine(shop, made_by="hand")
    reconcile()
    make_operator(password=PASSWORD)
    assert client.login(username="operator", password=PASSWORD)

    page = client.get("/admin/fly/discrepancy/").content.decode()

    assert "in our app, and unknown" in page
    assert f"No build made these machines in the app: {strange}." in page
    assert "deployment shop" in page


def test_a_version_that_no_build_has_released_is_told(shop):
    delete_machines(shop)
    add_machine(shop, image="registry.fly.io/other:by-hand@sha256:0")

    assert reconcile() == {"seen": 1, "other": 1}

    assert found() == {
        Kind.OTHER: "Fly runs an image that no build here has released: by-hand. "
        "Deploy again the version that shall run."
    }


def test_the_version_of_another_persons_build_is_no_build_of_the_app(shop, charlie):
    strange = make_build(make_deployment(charlie, "other"), state=State.LIVE)
    delete_machines(shop)
    add_machine(shop, image=f"registry.fly.io/other:build-{strange.pk.hex}")

    assert reconcile(after=timedelta(minutes=10))["other"] == 1

    assert strange.short_id not in found()[Kind.OTHER].partition("build-")[0]


def test_what_runs_of_a_first_build_that_was_canceled_is_told(shop):
    build = shop.builds.get()
    Build.objects.update(state=State.CANCELED, released_at=None, image="")
    delete_machines(shop)
    add_machine(shop, image=f"registry.fly.io/{shop.fly_app_id}:build-{build.pk.hex}")

    assert reconcile() == {"seen": 1, "other": 1}

    assert found()[Kind.OTHER].startswith(f"Fly runs the version of build {build.short_id}, which ended as canceled.")


def test_a_version_whose_tag_is_not_known_is_not_judged(shop):
    Build.objects.update(image="registry.fly.io/a@sha256:0")

    assert reconcile() == {"seen": 1}
