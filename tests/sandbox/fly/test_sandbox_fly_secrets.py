import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

SECRETS = "/v1/apps/shop/secrets"


def test_many_are_set_and_unset_at_once(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    multiline = '{\n  "key": "a=b # c"\n}'
    first = fly.done("POST", SECRETS, {"values": {"A": multiline, "OLD": "1"}})
    second = fly.done("POST", SECRETS, {"values": {"B": "", "OLD": None}})
    assert (first["version"], second["version"]) == (1, 2)
    assert [one["name"] for one in second["secrets"]] == ["A", "B"]
    assert sandbox_process.state()["fly"]["secrets"] == {"shop": {"A": multiline, "B": ""}}


def test_a_list_has_digests_and_reveals_values_only_when_asked(fly: FlyCaller) -> None:
    fly.done("POST", SECRETS, {"values": {"A": "one", "B": "one", "C": "two"}})
    hidden = fly.done("GET", SECRETS)["secrets"]
    assert [set(one) for one in hidden] == [{"name", "digest", "created_at", "updated_at"}] * 3
    assert hidden[0]["digest"] == hidden[1]["digest"] != hidden[2]["digest"]
    shown = fly.done("GET", f"{SECRETS}?show_secrets=true")["secrets"]
    assert [one["value"] for one in shown] == ["one", "one", "two"]


def test_one_is_set_shown_and_deleted(fly: FlyCaller) -> None:
    answer = fly("POST", f"{SECRETS}/A", {"value": "x"})
    assert (answer.status, answer.json["version"]) == (201, 1)
    assert "value" not in fly.done("GET", f"{SECRETS}/A")
    assert fly.done("DELETE", f"{SECRETS}/A") == {"version": 2}
    assert fly("DELETE", f"{SECRETS}/A").status == 404


@pytest.mark.parametrize(
    ("values", "status"),
    [({"1A": "x"}, 422), ({"A-B": "x"}, 422), ({"A": 1}, 400), ({"A": "\0"}, 422), (None, 400), ([], 400)],
)
def test_what_is_no_secret_is_refused_as_a_whole(fly: FlyCaller, values: object, status: int) -> None:
    if isinstance(values, dict):
        values = {"GOOD": "x", **values}
    assert fly.refusal("POST", SECRETS, {"values": values})[0] == status
    assert fly.done("GET", SECRETS) == {"secrets": []}


def test_a_machine_runs_with_what_it_booted_with(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.done("POST", SECRETS, {"values": {"A": "old"}})
    machine = fly.make_machine()
    sandbox_process.fly_clock(advance=30)
    fly.done("POST", SECRETS, {"values": {"A": "new"}})

    def booted() -> object:
        return sandbox_process.state()["fly"]["machines"][machine["id"]]["secrets"]

    assert booted() == {"A": "old"}
    fly.done("POST", f"{MACHINES}/{machine['id']}/restart", {})
    sandbox_process.fly_clock(advance=30)
    assert booted() == {"A": "new"}


def test_a_machine_may_boot_without_any(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.done("POST", SECRETS, {"values": {"A": "x"}})
    fly.make_machine(skip_secrets=True)
    sandbox_process.fly_clock(advance=30)
    [machine] = sandbox_process.state()["fly"]["machines"].values()
    assert machine["secrets"] == {}


def test_a_host_that_lags_boots_with_the_old_values(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.done("POST", SECRETS, {"values": {"A": "old"}})
    sandbox_process.fly_settings(secrets_lag_seconds=600)
    fly.done("POST", SECRETS, {"values": {"A": "new"}})
    fly.make_machine()
    sandbox_process.fly_clock(advance=30)
    [machine] = sandbox_process.state()["fly"]["machines"].values()
    assert (machine["secrets"], machine["secrets_version"]) == ({"A": "old"}, 1)


def test_a_host_that_lags_refuses_the_version_that_is_asked_for(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    sandbox_process.fly_settings(secrets_lag_seconds=60)
    version = fly.done("POST", SECRETS, {"values": {"A": "x"}})["version"]
    body = {"config": {"image": "i"}, "min_secrets_version": version}
    refused = fly.refusal("POST", MACHINES, body)
    assert refused == (
        412,
        "failed_precondition: minimum secrets version 1 is not available yet, currently at 0",
    )
    assert fly("GET", f"{SECRETS}?min_version=1").status == 412
    sandbox_process.fly_clock(advance=61)
    fly.done("POST", MACHINES, body)
    assert fly("GET", f"{SECRETS}?min_version=1").status == 200


def test_a_version_that_never_was_is_refused(fly: FlyCaller) -> None:
    assert fly.refusal("POST", MACHINES, {"config": {"image": "i"}, "min_secrets_version": 9})[0] == 412
