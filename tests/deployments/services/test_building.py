"""One worker's work on a build, from the archive to an app that answers."""

import threading
import time
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, User
from core.leases import LeaseLost
from deployments.models import Build
from deployments.services import building, builds, cancellation
from deployments.services.building import readiness, run
from deployments.services.building.lease import take
from deployments.services.building.log_writer import LogWriter
from fly.clients.flyctl import Limits
from tests.deployments.archive_builder import entry, folder, hard_link, packed, symlink
from tests.deployments.worker_harness import WorkGround, archive_of, log_of
from tests.sandbox_process import SandboxProcess

State = Build.State
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def pushed(work: WorkGround, alice: User) -> Any:
    """Pushes an archive of alice's to a prepared app, for this process to build."""
    work.prepared(alice)

    def push(archive: bytes, **variables: str) -> Build:
        return work.push(alice, archive, **variables)

    return push


def built(build: Build) -> Build:
    """The build, when a worker has done its work."""
    building.run_build(build.pk)
    return Build.objects.select_related("deployment").get(pk=build.pk)


def test_it_ends_live_with_image_log_and_times(pushed: Any, work: WorkGround, sandbox: SandboxProcess) -> None:
    build = built(pushed(archive_of("marker-one")))
    assert (build.state, build.error, build.attempt) == (State.LIVE, "", 1)
    assert build.image == f"registry.fly.io/{build.deployment.fly_app_id}:build-{build.pk.hex}"
    assert build.accepted_at <= build.started_at <= build.released_at <= build.finished_at
    assert build.internal_port == 3000
    assert "marker-one" in log_of(build.pk)
    assert log_of(build.pk).endswith(f"The app answers at {build.deployment.url}\n")
    assert "went away" not in log_of(build.pk)
    work.require_nothing_left()


def test_its_log_tells_nothing_of_the_workers_folders(pushed: Any, settings: Any) -> None:
    assert str(settings.BUILD_FOLDER) not in log_of(built(pushed(archive_of("x"))).pk)


def test_it_is_audited_in_the_name_of_who_pushed(pushed: Any, alice: User) -> None:
    build = built(pushed(archive_of("x")))
    event = AuditEvent.objects.get(action="build.released")
    assert (event.actor_id, event.target_id) == (alice.pk, str(build.pk))


def test_a_dockerfile_that_fails_is_told_in_a_sentence(pushed: Any, work: WorkGround) -> None:
    build = built(pushed(archive_of("x", "exit 1")))
    assert (build.state, build.error) == (State.FAILED, "Step 3 of 3 failed: `exit 1` ended with exit code 1.")
    assert AuditEvent.objects.filter(action="build.failed", details__error=build.error).exists()
    work.require_nothing_left()


def test_a_deployment_that_still_holds_the_app_is_waited_for(
    pushed: Any, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(pushed(archive_of("one")))
    monkeypatch.setattr(run, "_FLY_LEASE_PAUSE_SECONDS", 0.0)
    sandbox.faults(target="fly", match="POST */lease", status=423, body={"error": "lease currently held by another"})
    build = built(pushed(archive_of("two")))
    assert "lease currently held" in log_of(build.pk)
    assert (build.state, build.error) == (State.LIVE, "")


def test_a_second_build_of_the_same_app_updates_its_machine(pushed: Any, sandbox: SandboxProcess) -> None:
    built(pushed(archive_of("one")))
    second = built(pushed(archive_of("two")))
    (machine,) = sandbox.state()["fly"]["machines"].values()
    assert machine["config"]["image"] == second.image


def test_what_a_browser_may_know_reaches_the_build_and_secrets_do_not(pushed: Any, sandbox: SandboxProcess) -> None:
    archive = packed(
        entry("Dockerfile", b"FROM scratch\nCOPY .env .env\nRUN cat .env\n"),
        entry(".dockerignore", b".env\nnode_modules\n"),
        entry(".env", b"SECRET_OF_THE_LAPTOP=fake-1\n"),
        entry("fly.toml", b'[build]\nimage = "evil"\n'),
        dockerfile=False,
    )
    build = built(pushed(archive, VITE_TITLE="Hello", API_KEY="fake-2"))
    log = log_of(build.pk)
    assert build.state == State.LIVE, log
    assert "VITE_TITLE" in log
    assert "API_KEY" not in log
    assert "fake-1" not in log
    assert "fake-2" not in log
    assert "The archive's fly.toml is ignored: this server writes its own." in log
    assert "The archive's .env is left out, since an image must not carry secrets: use envVars." in log
    (secrets,) = sandbox.state()["fly"]["secrets"].values()
    assert {"VITE_TITLE", "API_KEY"} <= set(str(secrets).split("'"))
    assert build.sealed_environment is None


def test_environment_files_that_the_build_gets_are_named_in_its_log_without_what_they_hold(pushed: Any) -> None:
    archive = packed(
        entry("Dockerfile", b"FROM scratch\nCOPY . .\nRUN test -f .env.production\nRUN test -f apps/web/.env\n"),
        entry(".env", b"TOKEN=fake-1\n"),
        entry(".env.production", b"TOKEN=fake-2\n"),
        entry(".env.example", b"TOKEN=\n"),
        *(entry(f"apps/{name}/.env", b"TOKEN=fake-3\n") for name in ("web", "b", "c", "d", "e")),
        dockerfile=False,
    )
    build = built(pushed(archive))
    log = log_of(build.pk)
    assert build.state == State.LIVE, log
    assert log.count("apps/web/.env, ") == 1
    assert (
        "The archive holds .env.production, apps/web/.env, apps/b/.env, apps/c/.env, apps/d/.env and others, for the "
        "build to read, so what is in there may end in the image. Add such a file to .dockerignore if it has secrets, "
        "and use envVars for those.\n"
    ) in log
    assert "fake-" not in log


def environment_at_fly(sandbox: SandboxProcess) -> dict[str, str]:
    """What the app's program sees: its secrets win over what its configuration says."""
    (machine,) = sandbox.state()["fly"]["machines"].values()
    return {**machine["config"]["env"], **machine["secrets"]}


def test_an_app_asks_this_server_for_its_credentials(pushed: Any, sandbox: SandboxProcess, settings: Any) -> None:
    settings.PUBLIC_URL = "https://crayon.example.com"
    built(pushed(archive_of("x"), API_KEY="fake"))
    assert environment_at_fly(sandbox)["CRAYON_SERVER_URL"] == "https://crayon.example.com"


def test_an_app_that_brings_the_address_of_a_server_keeps_it(
    pushed: Any, sandbox: SandboxProcess, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://crayon.example.com"
    for variables in ({"CRAYON_SERVER_URL": "https://other.example.com"}, {}):
        build = built(pushed(archive_of("x"), **variables))
        assert environment_at_fly(sandbox)["CRAYON_SERVER_URL"] == "https://other.example.com"
        (machine,) = sandbox.state()["fly"]["machines"].values()
        assert "CRAYON_SERVER_URL" not in machine["config"]["env"]
    assert build.deployment.has_own_server_url


def files(dockerfile: bytes, *others: Any) -> bytes:
    return packed(entry("Dockerfile", dockerfile), *others, dockerfile=False)


SHOWS = b"FROM scratch\nCOPY . .\nRUN cat .env\nEXPOSE 3000\n"


@pytest.mark.parametrize(
    "others",
    [
        (symlink(".dockerignore", ".gitignore"), entry(".gitignore", b".env\n")),
        (symlink(".dockerignore", "config/ignore"), entry("config/ignore", b"*\n!Dockerfile")),
        (entry(".gitignore", b".env\n"), hard_link(".dockerignore", ".gitignore")),
        (entry("Dockerfile.dockerignore", b"**/.env*\n"), entry(".dockerignore", b".env")),
        (symlink("Dockerfile.dockerignore", ".dockerignore"), entry(".dockerignore", b".env")),
        (symlink(".dockerignore", "nowhere"),),
        (entry(".dockerignore", b"\xef\xbb\xbf.env\r\n"),),
    ],
)
def test_no_ignore_file_keeps_the_variables_from_the_build(pushed: Any, others: Any) -> None:
    build = built(pushed(files(SHOWS, *others), VITE_API="x"))
    log = log_of(build.pk)
    assert build.state == State.LIVE, log
    assert "VITE_API='x'" in log
    assert "The variables for the build" not in log


def test_what_an_ignore_files_link_leads_to_is_left_as_it_is(pushed: Any) -> None:
    archive = files(
        b"FROM scratch\nCOPY . .\nRUN cat .gitignore && cat .env\n",
        entry(".gitignore", b".env\n"),
        hard_link(".dockerignore", ".gitignore"),
    )
    log = log_of(built(pushed(archive, VITE_API="x")).pk)
    assert "VITE_API='x'" in log
    assert "!.env" not in log


def test_an_ignore_file_that_cant_be_read_is_told_of(pushed: Any) -> None:
    archive = files(b"FROM scratch\nCOPY . .\n", folder(".dockerignore"), entry(".dockerignore/a"))
    log = log_of(built(pushed(archive, VITE_API="x")).pk)
    assert (
        "The variables for the build (VITE_API) are in .env, which .dockerignore may keep out: it can't be read." in log
    )


def test_variables_that_no_step_takes_along_are_told_of(pushed: Any) -> None:
    archive = files(b"FROM scratch\nCOPY package.json ./\n", entry("package.json", b"{}"))
    log = log_of(built(pushed(archive, VITE_API="x", VITE_NAME="y", OTHER="z")).pk)
    assert (
        "The variables for the build (VITE_API, VITE_NAME) are in .env, which no COPY of the Dockerfile takes: "
        "add `COPY .env ./` before the step that needs them.\n"
    ) in log


def test_port_in_the_variables_is_where_the_app_is_looked_for(pushed: Any, sandbox: SandboxProcess) -> None:
    build = built(pushed(files(b"FROM scratch\nCOPY Dockerfile .\nEXPOSE 8080\n"), PORT="4000", A="b"))
    assert (build.state, build.internal_port, build.sealed_environment) == (State.LIVE, 4000, None)
    log = log_of(build.pk)
    assert "The app is looked for on port 4000, as PORT in envVars says.\n" in log
    assert "The variables for the build" not in log
    (machine,) = sandbox.state()["fly"]["machines"].values()
    assert machine["config"]["env"]["PORT"] == "4000"
    assert machine["config"]["services"][0]["internal_port"] == 4000
    (secrets,) = sandbox.state()["fly"]["secrets"].values()
    assert "PORT" not in str(secrets)


def test_of_several_ports_the_first_is_taken_and_that_is_said(pushed: Any) -> None:
    build = built(pushed(files(b"FROM scratch\nEXPOSE 3000 9229\n")))
    assert (build.state, build.internal_port) == (State.LIVE, 3000)
    assert "The Dockerfile exposes several ports (3000, 9229). The app is looked for on the first, 3000;" in log_of(
        build.pk
    )


def test_what_fly_refuses_is_told_to_operators_in_its_words(
    pushed: Any, sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    build = pushed(archive_of("x"))
    words = "We need your payment information to continue! Add a credit card or buy credit"
    sandbox.faults(target="fly", match="POST /v1/apps/*/machines", status=422, body={"error": words}, times=9)
    build = built(build)
    assert (build.state, build.error) == (
        State.FAILED,
        (
            "Fly doesn't let this server run more at the moment. "
            "Tell its operator, who finds the reason in the server's log."
        ),
    )
    assert any(words in record.getMessage() and str(build.pk) in record.getMessage() for record in caplog.records)


def test_an_earlier_image_is_released_again_without_its_archive(pushed: Any, alice: User) -> None:
    first, second = built(pushed(archive_of("one"))), built(pushed(archive_of("two")))
    again = built(builds.redeploy(build=first, actor=alice, now=timezone.now()))
    assert (again.state, again.image) == (State.LIVE, first.image)
    assert again.image != second.image
    assert log_of(again.pk).startswith(f"Releasing {first.image} again.\n")


def test_of_an_app_that_answers_only_its_status_is_read(pushed: Any, sandbox: SandboxProcess) -> None:
    build = built(pushed(archive_of("x")))
    sandbox.fly_app(build.deployment.fly_app_id, body="x" * (8 << 20))
    tracemalloc.start()
    try:
        assert readiness.answers(build.deployment.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_an_archive_that_is_gone_interrupts_it_and_asks_for_another_push(pushed: Any, work: WorkGround) -> None:
    build = pushed(archive_of("x"))
    work.ground.clear()
    build = built(build)
    assert (build.state, build.error) == (
        State.INTERRUPTED,
        "The uploaded archive is gone, so the build can't go on. Push again.",
    )


def test_without_flyctl_it_fails_and_says_whom_to_tell(pushed: Any, settings: Any) -> None:
    build = pushed(archive_of("x"))
    settings.FLYCTL = "/nowhere/flyctl"
    build = built(build)
    assert (build.state, build.error) == (
        State.FAILED,
        "This server can't build: its worker has no flyctl. Tell an operator of this server.",
    )


def test_a_cancel_ends_it_within_seconds(pushed: Any, alice: User, work: WorkGround) -> None:
    build = pushed(archive_of("x", "sleep 60"))

    def work_on_it() -> None:
        building.run_build(build.pk)
        connection.close()

    thread = threading.Thread(target=work_on_it)
    thread.start()
    until = time.monotonic() + 30
    while "sleep 60" not in Build.objects.get(pk=build.pk).step and time.monotonic() < until:
        time.sleep(0.1)
    asked = time.monotonic()
    cancellation.cancel_build(build.pk, alice)
    thread.join(40)
    assert time.monotonic() - asked < 20
    build.refresh_from_db()
    assert (build.state, build.error) == (State.CANCELED, "This build was canceled.")
    work.require_nothing_left()


def test_silence_ends_it(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Limits", lambda **_: Limits(total=60, silence=2, grace=2))
    build = built(pushed(archive_of("x", "silence 30")))
    assert (build.state, build.error) == (
        State.FAILED,
        "The build was ended since it said nothing for 5 minutes. Let it print its progress, and push again.",
    )


def test_taking_too_long_ends_it(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Limits", lambda **_: Limits(total=4, silence=60, grace=2))
    build = built(pushed(archive_of("x", "sleep 30")))
    assert (build.state, build.error) == (
        State.FAILED,
        "The build was ended since it took more than 30 minutes. Make it shorter, and push again.",
    )


def test_nobody_takes_a_build_that_somebody_living_has(pushed: Any) -> None:
    build = pushed(archive_of("x"))
    Build.objects.filter(pk=build.pk).update(state=State.BUILDING, attempt=1, heartbeat_at=timezone.now())
    assert built(build).attempt == 1


def test_a_step_is_shown_and_costs_one_query_however_often_it_is_told(
    pushed: Any, django_assert_num_queries: Any
) -> None:
    build = pushed(archive_of("x"))
    attempt = take(build.pk)
    assert attempt is not None
    with django_assert_num_queries(1):
        for _ in range(3):
            attempt.note_step("Uploading the image…")
    build.refresh_from_db()
    assert build.step == "Uploading the image…"


def test_one_that_was_ended_meanwhile_is_not_written_to(pushed: Any) -> None:
    build = pushed(archive_of("x"))
    attempt = take(build.pk)
    assert attempt is not None
    Build.objects.filter(pk=build.pk).update(state=State.CANCELED, finished_at=timezone.now())
    with pytest.raises(LeaseLost):
        attempt.note_released(image="registry.fly.io/crayon-a:build-1")
    assert Build.objects.get(pk=build.pk).state == State.CANCELED


def test_lines_are_written_many_at_a_time(pushed: Any, django_assert_num_queries: Any) -> None:
    attempt = take(pushed(archive_of("x")).pk)
    assert attempt is not None
    log = LogWriter(attempt)
    log._flushed_at += 60
    with django_assert_num_queries(0):
        for _ in range(100):
            log.write("x" * 600)
    log._flushed_at -= 120
    log.write("y")
    assert log_of(attempt.row.pk) == 100 * f"{'x' * 600}\n" + "y\n"


def test_a_fifth_attempt_gives_up_and_asks_for_another_push(pushed: Any) -> None:
    build = pushed(archive_of("x"))
    long_ago = timezone.now() - timedelta(minutes=2)
    Build.objects.filter(pk=build.pk).update(state=State.BUILDING, attempt=4, heartbeat_at=long_ago)
    build = built(build)
    assert (build.state, build.error) == (
        State.INTERRUPTED,
        "The build was interrupted several times because its worker went away. Push again.",
    )


def test_workers_that_were_told_to_stop_cost_it_no_attempt(pushed: Any) -> None:
    build = pushed(archive_of("x"))
    long_ago = timezone.now() - timedelta(minutes=2)
    Build.objects.filter(pk=build.pk).update(state=State.BUILDING, attempt=9, hand_overs=6, heartbeat_at=long_ago)
    assert built(build).state == State.LIVE


def test_an_organization_that_has_enough_running_waits(
    pushed: Any, work: WorkGround, alice: User, settings: Any
) -> None:
    settings.BUILDS_PER_ORGANIZATION = 1
    work.prepared(alice, "other")
    build = pushed(archive_of("x"))
    other = work.push(alice, archive_of("y"), "other")
    Build.objects.filter(pk=other.pk).update(state=State.BUILDING, attempt=1, heartbeat_at=timezone.now())
    build = built(build)
    assert (build.state, build.step) == (
        State.QUEUED,
        "Waiting for another build of yours or your organization to end…",
    )


def test_deserted_builds_go_on_one_after_the_other_where_fewer_may_run_than_did(
    pushed: Any, work: WorkGround, alice: User, settings: Any
) -> None:
    """As after a change of the setting: each of them held a place, and keeps it."""
    work.prepared(alice, "other")
    deserted = [pushed(archive_of("x")), work.push(alice, archive_of("y"), "other")]
    long_ago = timezone.now() - timedelta(minutes=2)
    Build.objects.update(state=State.BUILDING, attempt=1, heartbeat_at=long_ago)
    settings.BUILDS_PER_ORGANIZATION = 1
    assert [built(build).state for build in deserted] == [State.LIVE, State.LIVE]
