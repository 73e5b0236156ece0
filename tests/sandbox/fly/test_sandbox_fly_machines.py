import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

NO_ROOM = "aborted: could not reserve resource for machine: insufficient memory available to fulfill request"


def test_a_machine_is_created_with_all_that_it_was_given(fly: FlyCaller) -> None:
    config = {
        "image": "registry.fly.io/shop:deployment-1@sha256:abc",
        "env": {"PORT": "8080"},
        "guest": {"cpu_kind": "shared", "cpus": 2, "memory_mb": 1024},
        "metadata": {"fly_process_group": "app"},
        "services": [{"protocol": "tcp", "internal_port": 8080, "autostop": "stop"}],
        "something_new": {"a": 1},
    }
    made = fly.make_machine(config=config, name="web-1", region="ams")
    assert (made["state"], made["name"], made["region"]) == ("created", "web-1", "ams")
    assert made["config"] == config | {"restart": {"policy": "on-failure", "max_retries": 10}}
    assert made["image_ref"] == {
        "registry": "registry.fly.io",
        "repository": "shop",
        "tag": "deployment-1",
        "digest": "sha256:abc",
        "labels": {},
    }
    assert made["instance_id"] == made["version"]
    assert fly.done("GET", f"{MACHINES}/{made['id']}") == made


@pytest.mark.parametrize(
    ("config", "status"),
    [
        (None, 400),
        ({}, 422),
        ({"image": ""}, 422),
        ({"image": "i", "env": {"A": 1}}, 400),
        ({"image": "i", "services": {}}, 400),
        ({"image": "i", "mounts": [{"volume": "vol_none", "path": "/data"}]}, 400),
        ({"image": "i", "mounts": [{}, {}]}, 422),
        ({"image": "i", "guest": {"cpu_kind": "quantum"}}, 422),
        ({"image": "i", "guest": {"cpus": 3}}, 422),
        ({"image": "i", "guest": {"memory_mb": 300}}, 422),
        ({"image": "i", "guest": {"cpus": 1, "memory_mb": 4096}}, 422),
        ({"image": "i", "guest": {"cpu_kind": "performance", "memory_mb": 256}}, 422),
    ],
)
def test_a_configuration_that_makes_no_machine_is_refused(
    fly: FlyCaller, sandbox_process: SandboxProcess, config: object, status: int
) -> None:
    assert fly.refusal("POST", MACHINES, {"config": config})[0] == status
    assert sandbox_process.state()["fly"]["machines"] == {}


def test_names_are_unique_within_an_app_until_the_machine_is_gone(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    first = fly.make_machine(name="web")
    refused = fly.refusal("POST", MACHINES, {"name": "web", "config": {"image": "i"}})
    text = f'unique machine name violation, machine ID {first["id"]} already exists with name "web"'
    assert refused == (409, f"already_exists: {text}")
    fly.done("DELETE", f"{MACHINES}/{first['id']}?force=true")
    sandbox_process.fly_clock(advance=10)
    fly.make_machine(name="web")


@pytest.mark.parametrize(
    ("asked", "got"),
    [("fra", "fra"), ("lhr,fra", "lhr"), ("eu", "ams"), ("sa", "gru"), ("any", "iad"), ("", "iad"), ("apac", "bom")],
)
def test_regions_may_be_codes_lists_and_aliases(fly: FlyCaller, asked: str, got: str) -> None:
    assert fly.make_machine(region=asked)["region"] == got


def test_an_unknown_region_is_refused(fly: FlyCaller) -> None:
    assert fly.refusal("POST", MACHINES, {"region": "moon", "config": {"image": "i"}}) == (
        400,
        "invalid_argument: region moon not found",
    )


def test_a_full_region_is_passed_over_and_a_full_list_refused(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_room("ams", machines=0)
    sandbox_process.fly_room("fra", machines=1)
    assert [fly.make_machine(region=asked)["region"] for asked in ("ams,fra", "ams,fra,cdg")] == ["fra", "cdg"]
    answer = fly("POST", MACHINES, {"region": "ams,fra", "config": {"image": "i"}})
    assert (answer.status, answer.json) == (409, {"error": NO_ROOM, "status": "insufficient_capacity"})
    sandbox_process.fly_room("ams", machines=None)
    assert fly.make_machine(region="ams")["region"] == "ams"


def test_memory_over_the_quota_of_a_region_is_forbidden(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_room("ams", quota_mb=512)
    fly.make_machine(region="ams", config={"guest": {"memory_mb": 512}})
    status, text = fly.refusal("POST", MACHINES, {"region": "ams", "config": {"image": "i"}})
    assert status == 403
    assert text.startswith('organization "sandbox" is using 512 MB of memory in ams which is over the allowed quota')


def test_a_machine_at_rest_holds_no_room_and_may_find_none(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_room("ams", machines=1)
    resting = fly.make_machine(region="ams", skip_launch=True)
    sandbox_process.fly_clock(advance=30)
    fly.make_machine(region="ams")
    answer = fly("POST", f"{MACHINES}/{resting['id']}/start", {})
    assert (answer.status, answer.json["status"]) == (409, "insufficient_capacity")


def test_a_list_is_filtered(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    web = fly.make_machine(name="web", region="ams", config={"metadata": {"group": "app", "a.b": "1"}})
    job = fly.make_machine(name="job", region="fra", config={"metadata": {"group": "job"}})
    gone = fly.make_machine(name="gone")
    fly.done("DELETE", f"{MACHINES}/{gone['id']}?force=true")
    sandbox_process.fly_clock(advance=15)
    fly.done("POST", f"{MACHINES}/{job['id']}/stop", {})

    def names(query: str) -> list[str]:
        return [str(one["name"]) for one in fly.done("GET", f"{MACHINES}?{query}")]

    assert names("") == ["web", "job"]
    assert names("include_deleted=true") == ["web", "job", "gone"]
    assert names("metadata.group=app") == ["web"]
    assert names("metadata.group=app&metadata.a.b=1") == ["web"]
    assert names("metadata.group=app&metadata.a.b=2") == []
    assert names("region=fra") == ["job"]
    assert names("state=started") == ["web"]
    assert names("state=started,stopping") == ["web", "job"]
    assert names("state=destroyed") == ["gone"]
    [summary] = fly.done("GET", f"{MACHINES}?summary=true&region=ams")
    assert "env" not in summary["config"]
    assert "events" not in summary
    assert web["id"] == summary["id"]


def test_a_new_machine_stays_unseen_for_so_many_looks(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(machine_lag_reads=2)
    machine = fly.make_machine()
    looks = [fly("GET", f"{MACHINES}/{machine['id']}").status for _ in range(3)]
    assert looks == [404, 404, 200]
    fly.make_machine()
    assert [len(fly.done("GET", MACHINES)) for _ in range(3)] == [1, 1, 2]


def test_an_update_replaces_the_configuration(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(config={"env": {"A": "1"}})
    sandbox_process.fly_clock(advance=15)
    path = f"{MACHINES}/{machine['id']}"
    updated = fly.done("POST", path, {"config": {"image": "registry.fly.io/shop:v2"}})
    assert (updated["state"], updated["image_ref"]["tag"]) == ("replacing", "v2")
    assert "env" not in updated["config"]
    assert updated["instance_id"] != machine["instance_id"]
    assert fly.refusal("POST", path, {"config": {"image": "i"}})[0] == 412
    assert fly.refusal("POST", f"{path}/start", {}) == (
        412,
        "failed_precondition: machine getting replaced, refusing to start",
    )
    sandbox_process.fly_clock(advance=15)
    assert fly.state_of(machine) == "started"
    versions = [one["version"] for one in fly.done("GET", f"{path}/versions")]
    assert versions == [updated["instance_id"], machine["instance_id"]]


def test_an_update_leaves_a_stopped_machine_stopped(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(skip_launch=True)
    sandbox_process.fly_clock(advance=30)
    fly.done("POST", f"{MACHINES}/{machine['id']}", {"config": {"image": "i"}})
    sandbox_process.fly_clock(advance=30)
    assert fly.state_of(machine) == "stopped"


def test_an_update_of_another_version_is_refused(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    sandbox_process.fly_clock(advance=15)
    path, body = f"{MACHINES}/{machine['id']}", {"config": {"image": "i"}}
    status, text = fly.refusal("POST", path, {**body, "current_version": "OTHER"})
    assert status == 412
    assert text.startswith("failed_precondition: machine version mismatch")
    fly.done("POST", path, {**body, "current_version": machine["instance_id"]})


@pytest.mark.parametrize("change", [{"region": "fra"}, {"name": "other"}])
def test_region_and_name_are_fixed(fly: FlyCaller, sandbox_process: SandboxProcess, change: dict[str, str]) -> None:
    machine = fly.make_machine(name="web", region="ams")
    sandbox_process.fly_clock(advance=15)
    path = f"{MACHINES}/{machine['id']}"
    assert fly.refusal("POST", path, {"config": {"image": "i"}, **change})[0] == 400
    fly.done("POST", path, {"config": {"image": "i"}, "region": "ams", "name": "web"})


def test_metadata_changes_without_a_reboot(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(config={"metadata": {"a": "1"}})
    sandbox_process.fly_clock(advance=15)
    path = f"{MACHINES}/{machine['id']}/metadata"
    assert fly("POST", f"{path}/b", {"value": "2"}).status == 204
    assert fly.done("GET", path) == {"a": "1", "b": "2"}
    assert fly.done("GET", f"{path}/b") == {"value": "2"}
    assert fly("GET", f"{path}/c").status == 404
    assert fly("DELETE", f"{path}/a").status == 204
    assert fly("DELETE", f"{path}/a").status == 404
    assert fly.done("PATCH", path, {"metadata": {"c": "3", "b": None}}) == {"c": "3"}
    assert fly.refusal("PUT", path, {"metadata": {}, "machine_version": "OTHER"})[0] == 412
    assert fly.done("PUT", path, {"metadata": {"d": "4"}, "machine_version": machine["instance_id"]}) == {"d": "4"}
    assert fly.refusal("PUT", path, {"metadata": {"d": 4}})[0] == 400
    after = fly.done("GET", f"{MACHINES}/{machine['id']}")
    assert (after["state"], after["instance_id"]) == ("started", machine["instance_id"])


def test_commands_run_in_started_machines_only(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    path = f"{MACHINES}/{fly.make_machine()['id']}/exec"
    assert fly.refusal("POST", path, {"command": ["true"]})[0] == 412
    sandbox_process.fly_clock(advance=15)
    assert fly.done("POST", path, {"command": ["echo", "a", "b"]})["stdout"] == "a b\n"
    assert fly.done("POST", path, {"command": ["false"], "timeout": 60})["exit_code"] == 1
    sandbox_process.fly_app("shop", exec={"exit_code": 3, "stderr": "no"})
    done = fly.done("POST", path, {"command": ["curl", "x"]})
    assert done == {"exit_code": 3, "exit_signal": 0, "stdout": "", "stderr": "no"}
    assert fly.refusal("POST", path, {"command": ["true"], "timeout": 61})[0] == 400
    assert fly.refusal("POST", path, {"command": []})[0] == 400
