"""What a cloud dev machine does when it boots, boots again, and is told to stop."""

import json
import os
import shlex
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.clouddev.image.booted_machine import IS_ROOT, KEY, OTHER_KEY, PERSON_ID, SECRET, STAYS, BootedMachine
from tests.stopwatch import Stopwatch

_HOST_KEY = "data/ssh/ssh_host_ed25519_key"
_DUMPS_ENVIRONMENT = 'env -0 > "$HOME/environment"; ' + STAYS


def environment_of(machine: BootedMachine) -> dict[str, str]:
    entries = (machine.home / "environment").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def keys_of(machine: BootedMachine) -> dict[str, str]:
    return {path.name: path.read_text() for path in (machine.root / "etc/ssh/authorized_keys").iterdir()}


def test_the_first_boot_makes_the_smallest_project_and_runs_it(machine: BootedMachine) -> None:
    machine.start(machine.given(DEV_COMMAND=None))
    machine.wait_for((machine.home / "npm.called").exists)
    assert (machine.home / "npm.called").read_text() == "npm run dev\n"
    assert sorted(path.name for path in machine.project.iterdir()) == ["package.json", "server.js", "tokens.js"]
    assert "dev" in json.loads((machine.project / "package.json").read_text())["scripts"]


def test_the_first_boot_runs_the_scaffold_command_in_an_empty_folder(machine: BootedMachine) -> None:
    machine.boot(SCAFFOLD_COMMAND='ls -A > before; echo "$APP_NAME" > name')
    assert (machine.project / "before").read_text() == "before\n"
    assert (machine.project / "name").read_text() == "shop\n"
    assert not (machine.data / "app.unfinished").exists()


def test_the_second_boot_finds_the_project_the_home_and_the_host_key_as_they_were(machine: BootedMachine) -> None:
    machine.boot(SCAFFOLD_COMMAND="date +%N > made")
    made, key = (machine.project / "made").read_text(), (machine.root / _HOST_KEY).read_text()
    (machine.home / "notes").write_text("mine")
    machine.end()
    machine.boot(SCAFFOLD_COMMAND="date +%N > made")
    assert (machine.project / "made").read_text() == made
    assert (machine.home / "notes").read_text() == "mine"
    assert (machine.root / _HOST_KEY).read_text() == key


def test_a_host_key_that_a_crash_cut_off_is_made_anew(machine: BootedMachine) -> None:
    (machine.data / "ssh").mkdir()
    (machine.root / _HOST_KEY).write_text("")
    machine.boot()
    assert (machine.root / _HOST_KEY).read_text().startswith("a host key")
    assert mode(machine.root / _HOST_KEY) == 0o600
    assert mode(machine.data / "ssh") == 0o700


def test_a_new_key_takes_the_place_of_the_last_one(machine: BootedMachine) -> None:
    machine.boot()
    assert keys_of(machine) == {"user-0123456789abcdef": f"{KEY}\n"}
    machine.end()
    machine.boot(SSH_PUBLIC_KEY=OTHER_KEY)
    assert keys_of(machine) == {"user-0123456789abcdef": f"{OTHER_KEY}\n"}


def test_another_person_takes_the_place_of_the_last_one_with_the_same_number(machine: BootedMachine) -> None:
    machine.boot()
    machine.end()
    machine.boot(DEV_USER="user-fedcba9876543210")
    assert keys_of(machine) == {"user-fedcba9876543210": f"{KEY}\n"}
    people = (machine.root / "etc/passwd").read_text().splitlines()[1:]
    assert people == ["user-fedcba9876543210:x:2000:2000::/data/home:/bin/bash"]


def test_the_account_has_a_stable_number_and_no_password_that_fits(machine: BootedMachine) -> None:
    machine.boot()
    arguments = (machine.root / "useradd.arguments").read_text().split("\n")
    assert arguments[arguments.index("--uid") + 1] == str(PERSON_ID)
    assert arguments[arguments.index("--password") + 1] == "*"


def test_sshd_lets_only_the_person_in_and_is_told_no_secret(machine: BootedMachine) -> None:
    machine.boot()
    arguments = (machine.root / "sshd.arguments").read_text().splitlines()
    assert arguments == [
        "-D",
        "-e",
        "-f",
        f"{machine.root}/etc/ssh/sshd_config",
        "-o",
        "AllowUsers=user-0123456789abcdef",
    ]
    names = {line.partition("=")[0] for line in (machine.root / "sshd.environment").read_text().splitlines()}
    assert names <= {"PATH", "PWD", "_", "SHLVL", "OLDPWD"}


def test_sshd_runs_before_the_project_is_made(machine: BootedMachine) -> None:
    machine.start(machine.given(SCAFFOLD_COMMAND="exec sleep 600"))
    machine.wait_for(lambda: machine.pid_in("sshd.pid"))
    assert not machine.project.exists()


def test_the_dev_server_gets_every_variable_whole(machine: BootedMachine) -> None:
    credentials = '{\n  "key": "it\'s \\"quoted\\" & $HOME `id` \\\\n"\n}\n'
    machine.boot(GOOGLE_CREDENTIALS=credentials, EMPTY="", ENDS_IN="base64==", DEV_COMMAND=_DUMPS_ENVIRONMENT)
    environment = environment_of(machine)
    assert environment["GOOGLE_CREDENTIALS"] == credentials
    assert environment["EMPTY"] == ""
    assert environment["ENDS_IN"] == "base64=="
    assert environment["DATABASE_URL"] == machine.given()["DATABASE_URL"]
    assert environment["HOME"] == str(machine.home)
    assert environment["USER"] == environment["LOGNAME"] == "user-0123456789abcdef"


def test_any_shell_reads_the_session_file(machine: BootedMachine) -> None:
    value = 'it\'s\nmine & \\ "all"'
    machine.boot(VALUE=value)
    script = f'. {shlex.quote(str(machine.session))}; printf %s "$VALUE"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == value


def test_variables_that_steer_shells_do_not_steer_roots(machine: BootedMachine) -> None:
    trap = machine.root / "trap.sh"
    trap.write_text(f'[ "$PPID" != "{os.getpid()}" ] || touch {machine.root}/steered\n')
    variables = {
        "BASH_ENV": str(trap),
        "ENV": str(trap),
        "BASH_FUNC_mkdir%%": f'() {{ touch {machine.root}/steered; /bin/mkdir "$@"; }}',
        "UID": "0",
    }
    machine.start({**machine.given(), **variables, "PATH": "/nowhere"})
    machine.wait_for(lambda: machine.pid_in("data/home/dev.pid"))
    assert not (machine.root / "steered").exists()
    assert "A variable whose name no shell can hold was left out." in machine.log


def test_no_secret_is_in_a_file_that_others_can_read(machine: BootedMachine) -> None:
    machine.boot(API_KEY=f"{SECRET}-of-an-api")
    holders = [
        path for path in machine.root.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")
    ]
    assert holders == [machine.session]
    assert mode(machine.session) == 0o400
    assert [path.name for path in machine.session.parent.iterdir()] == ["session.env"], "nothing half-written is left"
    if IS_ROOT:
        assert machine.session.stat().st_uid == PERSON_ID


def test_no_secret_is_on_the_volume_in_an_argument_or_in_the_log(machine: BootedMachine) -> None:
    machine.boot(APP_COMMAND="exec sleep 600")
    arguments = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in machine.processes()]
    assert len(arguments) >= 4
    assert not any(SECRET.encode() in line for line in arguments)
    assert SECRET not in machine.log
    assert not any(SECRET in path.read_text(errors="replace") for path in machine.data.rglob("*") if path.is_file())


def test_what_the_person_owns_is_the_project_and_the_home_and_nothing_else(machine: BootedMachine) -> None:
    machine.boot(SCAFFOLD_COMMAND="touch code")
    person = PERSON_ID if IS_ROOT else os.geteuid()
    uids = {str(path.relative_to(machine.root)): path.stat().st_uid for path in machine.root.rglob("*")}
    theirs = {path for path, uid in uids.items() if uid == person}
    expected = {"data/app", "data/app/code", "data/home", "data/home/dev.pid", "run/crayon/session.env"}
    assert theirs == expected if IS_ROOT else expected <= theirs
    assert mode(machine.home) == 0o700
    assert mode(machine.data) == 0o755
    assert mode(machine.root / "etc/ssh/authorized_keys" / "user-0123456789abcdef") == 0o644


def test_the_dev_server_and_the_app_run_as_the_person_and_can_gain_nothing(machine: BootedMachine) -> None:
    machine.boot(APP_COMMAND='pwd > "$HOME/app.folder"; cat /proc/self/status > "$HOME/app.status"; exec sleep 600')
    machine.wait_for(lambda: (machine.home / "app.status").exists() and (machine.home / "app.status").read_text())
    assert (machine.home / "app.folder").read_text() == f"{machine.project}\n"
    status = dict(
        line.split(":\t", 1) for line in (machine.home / "app.status").read_text().splitlines() if ":\t" in line
    )
    person = PERSON_ID if IS_ROOT else os.geteuid()
    assert status["Uid"].split() == [str(person)] * 4
    if IS_ROOT:
        assert status["Gid"].split() == [str(PERSON_ID)] * 4
        assert status["Groups"].strip() == ""
        assert int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"


def test_the_dev_server_can_be_interrupted(machine: BootedMachine) -> None:
    """A signal that a shell ignores is ignored by all that it starts, and theirs."""
    machine.boot()
    status = Path(f"/proc/{machine.pid_in('data/home/dev.pid')}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert not ignored & (1 << (signal.SIGINT - 1))


def test_a_dev_server_that_ends_is_started_again_without_its_leftovers(machine: BootedMachine) -> None:
    command = 'sleep 601 & echo $! > "$HOME/child.pid"; ' + STAYS
    machine.boot(DEV_COMMAND=command)
    first, child = machine.pid_in("data/home/dev.pid"), machine.pid_in("data/home/child.pid")
    os.kill(first, signal.SIGKILL)
    machine.wait_for(lambda: machine.pid_in("data/home/dev.pid") not in {0, first})
    assert child not in machine.processes()
    assert "The dev server ended with status 137; starting it again in 1 s." in machine.log


def test_a_dev_server_that_keeps_ending_is_started_ever_more_seldom(machine: BootedMachine) -> None:
    machine.start(machine.given(DEV_COMMAND="exit 3"))
    machine.wait_for(lambda: "in 4 s" in machine.log)
    said = [line for line in machine.log.splitlines() if line.startswith("crayon: The dev server")]
    assert said == [f"crayon: The dev server ended with status 3; starting it again in {n} s." for n in (1, 2, 4)]
    with Stopwatch() as watch:
        assert machine.end() == 0
    assert watch.at_ease < 3.5, "a pause does not keep the machine from stopping"


def test_sshd_is_started_again_when_it_ends(machine: BootedMachine) -> None:
    machine.boot()
    first = machine.pid_in("sshd.pid")
    os.kill(first, signal.SIGKILL)
    machine.wait_for(lambda: machine.pid_in("sshd.pid") not in {0, first})


def test_a_scaffold_that_fails_is_tried_again_from_nothing(machine: BootedMachine) -> None:
    command = 'ls -A > seen; [ -e "$HOME/tried" ] || { touch "$HOME/tried" half; exit 1; }'
    machine.boot(SCAFFOLD_COMMAND=command)
    assert [path.name for path in machine.project.iterdir()] == ["seen"]
    assert (machine.project / "seen").read_text() == "seen\n"


def test_a_scaffold_that_makes_nothing_is_a_failure(machine: BootedMachine) -> None:
    machine.start(machine.given(SCAFFOLD_COMMAND="true"))
    machine.wait_for(lambda: "SCAFFOLD_COMMAND made no file." in machine.log)
    assert not machine.project.exists()


def test_a_crash_in_the_middle_of_the_scaffold_is_made_good_by_the_next_boot(machine: BootedMachine) -> None:
    machine.start(machine.given(SCAFFOLD_COMMAND='touch half; touch "$HOME/begun"; exec sleep 600'))
    machine.wait_for((machine.home / "begun").exists)
    machine.cut_power()
    assert not machine.project.exists()
    machine.boot(SCAFFOLD_COMMAND="touch whole")
    assert [path.name for path in machine.project.iterdir()] == ["whole"]


def test_a_power_cut_ends_what_is_just_being_started_too(machine: BootedMachine) -> None:
    """Otherwise the next boot would not be the only one at the volume."""
    starts = 'touch "$HOME/begun"; for number in $(seq 200); do sleep 600 & done; exec sleep 600'
    machine.start(machine.given(SCAFFOLD_COMMAND=starts))
    machine.wait_for((machine.home / "begun").exists)
    machine.cut_power()
    assert machine.processes() == []


def test_a_link_left_by_the_scaffold_leads_root_nowhere(machine: BootedMachine) -> None:
    """What a failed attempt left behind is deleted by root: the link, not what it points at."""
    kept = machine.root / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    machine.start(machine.given(SCAFFOLD_COMMAND=f'ln -s {kept} link; touch "$HOME/begun"; exec sleep 600'))
    machine.wait_for((machine.home / "begun").exists)
    machine.cut_power()
    machine.boot()
    assert (kept / "file").read_text() == "stays"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_within_seconds(machine: BootedMachine, number: signal.Signals) -> None:
    stubborn = "(trap '' TERM; sleep 601; sleep 602) & setsid sleep 603 & "
    machine.boot(DEV_COMMAND=stubborn + STAYS, APP_COMMAND="sleep 604 & exec sleep 605")
    with Stopwatch() as watch:
        assert machine.end(number) == 0
    assert watch.at_ease < 5, "Fly gives no longer"
    machine.wait_for(lambda: not machine.processes())


def test_a_signal_ends_a_boot_that_is_still_making_the_project(machine: BootedMachine) -> None:
    machine.start(machine.given(SCAFFOLD_COMMAND='touch "$HOME/begun"; exec sleep 600'))
    machine.wait_for((machine.home / "begun").exists)
    assert machine.end() == 0
    machine.wait_for(lambda: not machine.processes())


def test_a_signal_ends_the_pause_after_a_failed_scaffold(machine: BootedMachine) -> None:
    machine.start(machine.given(SCAFFOLD_COMMAND="exit 1"))
    machine.wait_for(lambda: "trying again in 4 s" in machine.log)
    with Stopwatch() as watch:
        assert machine.end() == 0
    assert watch.at_ease < 3.5
