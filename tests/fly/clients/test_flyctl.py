"""flyctl is run with nothing of ours, heard line by line, and ended in time."""

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fly.clients import flyctl
from fly.clients.flyctl import FlyctlMissing, Limits, Order, StopReason
from tests.fly.clients.conftest import TOKEN, Program
from tests.fly.clients.running import LIMITS, processes_in, run, wait_until


def test_it_says_so_when_there_is_no_flyctl(order: Order, settings) -> None:
    settings.FLYCTL = "/nowhere/flyctl"
    with pytest.raises(FlyctlMissing) as refused:
        run(order)
    assert refused.value.status == 503
    assert "flyctl is missing" in refused.value.sentence
    assert not order.home.exists()


def test_it_says_so_when_flyctl_may_not_be_run(order: Order, program: Program, settings, tmp_path) -> None:
    program("")
    (tmp_path / "fake-flyctl").chmod(0o600)
    with pytest.raises(FlyctlMissing):
        run(order)


def test_a_program_that_cannot_be_started_is_a_failure(order: Order, settings, tmp_path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o700)
    settings.FLYCTL = str(broken)
    outcome, _ = run(order)
    assert (outcome.exit_code, outcome.succeeded, outcome.stopped) == (126, False, None)
    assert "can't be started" in outcome.failure


def test_an_order_shows_no_token(order: Order) -> None:
    assert TOKEN not in repr(order)


def test_the_command_asks_for_one_machine_and_no_agent(order: Order, program: Program) -> None:
    program("print(*sys.argv[1:], sep='\\n')")
    _, lines = run(replace(order, image="registry.fly.io/crayon-a:old"))
    assert lines == [
        "deploy",
        str(order.context),
        "-c",
        str(order.config),
        "-a",
        "crayon-a",
        "--remote-only",
        "--depot=false",
        "--ha=false",
        "--wg=false",
        "--dns-checks=false",
        "--yes",
        "--image-label",
        "build-1",
        "--image",
        "registry.fly.io/crayon-a:old",
    ]


def test_the_environment_is_made_from_scratch(order: Order, program: Program, monkeypatch, settings) -> None:
    for name in ("FLY_REGION", "FLY_APP_NAME", "FLY_ACCESS_TOKEN", "LOG_LEVEL", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "not-for-flyctl")
    program("print(*(f'{name}={value}' for name, value in sorted(os.environ.items())), sep='\\n')")
    _, lines = run(order)
    assert lines == [
        "BUILDKIT_PROGRESS=plain",
        "FLY_API_TOKEN=[redacted]",
        f"FLY_CONFIG_DIR={order.folder}/home/.fly",
        "FLY_EMIT_RELEASE_JSON=1",
        "FLY_NO_INCIDENTS_CHECK=1",
        "FLY_NO_UPDATE_CHECK=1",
        "FLY_SEND_METRICS=0",
        "FLY_SYNTHETICS_AGENT=0",
        "FLY_TRACE_COLLECTOR_URL=127.0.0.1",
        f"HOME={order.folder}/home",
        "LANG=C.UTF-8",
        "NO_COLOR=1",
        f"PATH={os.environ['PATH']}",
        f"TMPDIR={order.folder}/tmp",
    ]


def test_other_addresses_and_a_proxy_are_handed_on(order: Order, program: Program, settings) -> None:
    settings.FLY_API_URL = "http://127.0.0.1:1/fly"
    settings.FLY_PLATFORM_URL = "http://127.0.0.1:1/platform"
    settings.OUTGOING_PROXY_URL = "http://someone:not-a-password@127.0.0.1:2"
    settings.OUTGOING_CA_FILE = "/etc/ca.pem"
    program("""
        assert os.environ["HTTPS_PROXY"] == "http://someone:not-a-password@127.0.0.1:2"
        for name in ("FLY_FLAPS_BASE_URL", "FLY_API_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE"):
            print(f"{name}={os.environ[name]}")
    """)
    outcome, lines = run(order)
    assert outcome.succeeded
    assert lines == [
        "FLY_FLAPS_BASE_URL=http://127.0.0.1:1/fly",
        "FLY_API_BASE_URL=http://127.0.0.1:1/platform",
        "HTTPS_PROXY=http://[redacted]@127.0.0.1:2",
        "HTTP_PROXY=http://[redacted]@127.0.0.1:2",
        "SSL_CERT_FILE=/etc/ca.pem",
    ]


def test_the_version_of_the_secrets_is_told_in_a_private_file(order: Order, program: Program) -> None:
    program("""
        path = os.path.join(os.environ["FLY_CONFIG_DIR"], "config.yml")
        print(open(path).read(), end="")
        print(oct(os.stat(path).st_mode & 0o777))
    """)
    _, lines = run(replace(order, secrets_version=7))
    assert lines == ["app_secrets_minvers:", "  crayon-a: 7", "0o600"]
    assert stat.S_IMODE(order.home.stat().st_mode) == 0o700


def test_it_asks_nothing_of_the_terminal(order: Order, program: Program) -> None:
    program("print(repr(sys.stdin.read()), os.isatty(1), os.getpgrp() == os.getpid())")
    _, lines = run(order)
    assert lines == ["'' False True"]


def test_lines_are_cleaned_cut_and_freed_of_secrets(order: Order, program: Program) -> None:
    program(r"""
        print("\x1b[32mgreen\x1b[0m \x07bell")
        print("10%\r50%\r100%\r")
        print("token", os.environ["FLY_API_TOKEN"], "and FlyV1 fm2_abc,fm2_def and Bearer abc")
        print("x" * 50_000)
        print("no line break at the end", end="")
    """)
    _, lines = run(order)
    assert lines[0] == "green bell"
    assert lines[1] == "100%"
    assert lines[2] == "token [redacted] and [redacted] and [redacted]"
    assert lines[3] == "x" * 1999 + "…"
    assert lines[4:] == ["no line break at the end"]


def test_success_gives_the_image_of_the_release(order: Order, program: Program) -> None:
    program("""
        print("image: registry.fly.io/crayon-a:build-1")
        print('{"id":"r","version":3,"image_ref":"registry.fly.io/crayon-a:build-1@sha256:0a"}')
    """)
    outcome, _ = run(order)
    assert (outcome.exit_code, outcome.image) == (0, "registry.fly.io/crayon-a:build-1@sha256:0a")
    assert (outcome.failure, outcome.stopped, outcome.succeeded) == ("", None, True)


def test_an_image_of_another_app_is_not_believed(order: Order, program: Program) -> None:
    program("print('image: registry.fly.io/crayon-somebody:latest')")
    assert run(order)[0].image == ""


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("print('Error: lease currently held by x', file=sys.stderr); sys.exit(1)", 1, "Another change of the app"),
        ("sys.exit(1)", 1, "The deployment failed; the build log says more."),
        ("sys.exit(3)", 3, "flyctl broke down."),
        ("sys.exit(126)", 126, "Fly did not finish in time."),
        ("sys.exit(127)", 127, "The deployment was interrupted."),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "The deployment was ended before it was done."),
    ],
)
def test_each_failure_has_a_code_and_a_sentence(
    order: Order, program: Program, body: str, code: int, sentence: str
) -> None:
    program(body)
    outcome, _ = run(order)
    assert (outcome.exit_code, outcome.stopped, outcome.succeeded) == (code, None, False)
    assert outcome.failure.startswith(sentence)


def test_a_cancelled_one_is_interrupted_and_may_clean_up(order: Order, program: Program) -> None:
    program("""
        def tidy(*_):
            os.write(1, b"released the lease")
            os._exit(127)
        signal.signal(signal.SIGINT, tidy)
        print("begun", flush=True)
        time.sleep(60)
    """)
    outcome, lines = run(order, stop_at="begun")
    assert lines == ["begun", "released the lease"]
    assert (outcome.exit_code, outcome.stopped) == (127, StopReason.CANCELED)


def test_one_that_will_not_stop_is_killed_with_its_children(order: Order, program: Program) -> None:
    program("""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.fork()
        print("begun", flush=True)
        time.sleep(60)
    """)
    began = time.monotonic()
    outcome, _ = run(order, stop_at="begun", limits=replace(LIMITS, grace=0.5))
    assert (outcome.exit_code, outcome.stopped) == (137, StopReason.CANCELED)
    assert time.monotonic() - began < 30
    assert wait_until(lambda: processes_in(order.folder) == [])


def test_children_that_outlive_flyctl_are_ended(order: Order, program: Program) -> None:
    program("""
        if os.fork() == 0:
            time.sleep(60)
        print("done", flush=True)
    """)
    outcome, lines = run(order)
    assert (outcome.exit_code, lines) == (0, ["done"])
    assert wait_until(lambda: processes_in(order.folder) == [])


def test_what_was_done_before_it_could_be_stopped_counts_as_done(order: Order, program: Program) -> None:
    program("""
        signal.signal(signal.SIGINT, lambda *_: os._exit(0))
        print("image: registry.fly.io/crayon-a:build-1", flush=True)
        time.sleep(60)
    """)
    outcome, _ = run(order, stop_at="image")
    assert (outcome.succeeded, outcome.stopped) == (True, None)


def test_one_that_ended_because_everything_is_being_stopped_did_not_fail(order: Order, program: Program) -> None:
    program("print('begun'); sys.exit(127)")
    outcome, _ = run(order, stop_at="begun", reason=StopReason.CUT_OFF)
    assert outcome.stopped is StopReason.CUT_OFF


def test_silence_ends_it(order: Order, program: Program) -> None:
    program("print('begun', flush=True); time.sleep(60)")
    outcome, _ = run(order, limits=replace(LIMITS, silence=0.5))
    assert outcome.stopped is StopReason.SILENT
    assert not outcome.succeeded


def test_a_word_now_and_then_is_no_silence(order: Order, program: Program) -> None:
    program("""
        for _ in range(8):
            print("word", flush=True)
            time.sleep(0.2)
    """)
    outcome, _ = run(order, limits=replace(LIMITS, silence=1.2))
    assert outcome.succeeded


def test_taking_too_long_ends_it_though_it_talks(order: Order, program: Program) -> None:
    program("""
        while True:
            print("word", flush=True)
            time.sleep(0.01)
    """)
    outcome, _ = run(order, limits=replace(LIMITS, total=1))
    assert outcome.stopped is StopReason.TOO_LONG


def test_a_flood_is_heard_whole_and_in_order(order: Order, program: Program) -> None:
    program("""
        for number in range(100_000):
            os.write(1 + number % 2, f"line {number}\\n".encode())
    """)
    outcome, lines = run(order)
    assert outcome.succeeded
    assert lines == [f"line {number}" for number in range(100_000)]


def test_a_flood_without_end_is_stopped(order: Order, program: Program) -> None:
    program("while True: print('y' * 1000)")
    outcome, _ = run(order, limits=replace(LIMITS, total=1, grace=1))
    assert outcome.stopped is StopReason.TOO_LONG


def test_an_error_of_the_listener_ends_flyctl(order: Order, program: Program) -> None:
    program("""
        print("begun", flush=True)
        time.sleep(60)
    """)

    def fail(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="begun"):
        flyctl.run(order, on_line=fail, should_stop=lambda: None, limits=LIMITS)
    assert processes_in(order.folder) == []


def test_one_that_was_cut_off_ends_fast_and_leaves_no_folder(order: Order, program: Program) -> None:
    program("print('begun', flush=True); time.sleep(60)")
    outcome, _ = run(order, stop_at="begun", reason=StopReason.CUT_OFF, limits=Limits(total=30, silence=30))
    assert outcome.stopped is StopReason.CUT_OFF
    assert not order.folder.exists()


@pytest.mark.parametrize("reason", [StopReason.CUT_OFF, StopReason.CANCELED])
def test_one_that_is_stopped_before_its_beginning_is_never_begun(
    order: Order, program: Program, tmp_path: Path, reason: StopReason
) -> None:
    mark = tmp_path / "mark"
    program(f"open({str(mark)!r}, 'w')")
    outcome = flyctl.run(order, on_line=lambda _line: None, should_stop=lambda: reason, limits=LIMITS)
    assert (outcome.stopped, outcome.succeeded, mark.exists()) == (reason, False, False)


def test_one_whose_worker_was_frozen_right_before_its_beginning_is_never_begun(
    order: Order, program: Program, tmp_path: Path
) -> None:
    mark, asked = tmp_path / "mark", []
    program(f"open({str(mark)!r}, 'w')")

    def freeze_at_first() -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            time.sleep(1.2)

    limits = Limits(total=30, silence=30, patience=1)
    outcome = flyctl.run(order, on_line=lambda _line: None, should_stop=freeze_at_first, limits=limits)
    assert (outcome.stopped, outcome.succeeded, mark.exists()) == (StopReason.CUT_OFF, False, False)


def test_a_question_that_takes_too_long_cuts_off(order: Order, program: Program) -> None:
    program("print('begun', flush=True); time.sleep(60)")

    asked = []

    def hang() -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            time.sleep(3)

    outcome = flyctl.run(
        order, on_line=lambda _line: None, should_stop=hang, limits=Limits(total=30, silence=30, patience=1)
    )
    assert outcome.stopped is StopReason.CUT_OFF
    assert not outcome.succeeded
    assert not order.folder.exists()
