import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

VOLUMES = "/v1/apps/shop/volumes"
HINT = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 1024}


def make(fly: FlyCaller, **fields: object) -> dict[str, object]:
    made: dict[str, object] = fly.done("POST", VOLUMES, {"name": "data", "region": "ams", "compute": HINT, **fields})
    return made


def mounting(volume: dict[str, object]) -> dict[str, object]:
    return {"mounts": [{"volume": volume["id"], "path": "/data"}]}


def test_a_volume_is_made_shown_and_listed(fly: FlyCaller) -> None:
    made = make(fly, size_gb=10, snapshot_retention=7)
    assert {name: made[name] for name in ("name", "region", "size_gb", "state", "snapshot_retention")} == {
        "name": "data",
        "region": "ams",
        "size_gb": 10,
        "state": "created",
        "snapshot_retention": 7,
    }
    assert (made["encrypted"], made["attached_machine_id"]) == (True, None)
    assert fly.done("GET", f"{VOLUMES}/{made['id']}") == made
    assert fly.done("GET", VOLUMES) == [made]
    assert make(fly)["size_gb"] == 3
    assert fly.done("GET", "/v1/apps/shop")["volume_count"] == 2


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"region": "eu"}, 400),
        ({"region": "ams,fra"}, 400),
        ({"region": ""}, 400),
        ({"name": "Data!"}, 422),
        ({"size_gb": 0}, 400),
        ({"size_gb": "3"}, 400),
        ({"snapshot_retention": 61}, 400),
        ({"source_volume_id": "vol_none"}, 404),
    ],
)
def test_what_makes_no_volume_is_refused(fly: FlyCaller, fields: dict[str, object], status: int) -> None:
    body = {"name": "data", "region": "ams", **fields}
    assert fly.refusal("POST", VOLUMES, body)[0] == status
    assert fly.done("GET", VOLUMES) == []


def test_a_full_region_takes_no_volume(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_room("ams", volumes=1)
    make(fly)
    answer = fly("POST", VOLUMES, {"name": "data", "region": "ams"})
    assert (answer.status, answer.json["status"]) == (412, "volume_placement_capacity")
    make(fly, region="fra")


def test_a_volume_grows_and_never_shrinks(fly: FlyCaller) -> None:
    path = f"{VOLUMES}/{make(fly, size_gb=3)['id']}/extend"
    grown = fly.done("PUT", path, {"size_gb": 5})
    assert (grown["volume"]["size_gb"], grown["needs_restart"]) == (5, False)
    assert fly.refusal("PUT", path, {"size_gb": 5})[0] == 422


def test_a_machine_goes_where_its_volume_is(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    volume = make(fly, region="fra")
    machine = fly.make_machine(config=mounting(volume))
    held = sandbox_process.state()["fly"]
    assert machine["region"] == "fra"
    assert held["machines"][machine["id"]]["host"] == held["volumes"][str(volume["id"])]["host"]
    assert held["volumes"][str(volume["id"])]["attached_machine_id"] == machine["id"]


def test_a_volume_is_for_one_machine(fly: FlyCaller) -> None:
    volume = make(fly)
    machine = fly.make_machine(config=mounting(volume))
    body = {"config": {"image": "i", **mounting(volume)}}
    refused = fly.refusal("POST", MACHINES, body)
    assert refused == (412, f"failed_precondition: volume already claimed by machine {machine['id']}")


def test_a_volume_in_another_region_or_a_full_one_is_a_lack_of_room(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    volume = make(fly)
    text = f"insufficient resources to create new machine with existing volume '{volume['id']}'"
    expected = {"error": f"failed_precondition: {text}", "status": "insufficient_capacity"}
    elsewhere = fly("POST", MACHINES, {"region": "fra", "config": {"image": "i", **mounting(volume)}})
    assert (elsewhere.status, elsewhere.json) == (412, expected)
    sandbox_process.fly_room("ams", machines=0)
    full = fly("POST", MACHINES, {"config": {"image": "i", **mounting(volume)}})
    assert (full.status, full.json) == (412, expected)


def test_without_a_hint_a_volume_may_be_on_a_host_that_is_too_small(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    sandbox_process.fly_settings(hintless_volumes_fit=False)
    without, hinted = make(fly, compute=None), make(fly)
    answer = fly("POST", MACHINES, {"config": {"image": "i", **mounting(without)}})
    assert (answer.status, answer.json["status"]) == (412, "insufficient_capacity")
    fly.make_machine(config=mounting(hinted))


def test_a_volume_stays_bound_until_its_machine_is_gone(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    volume = make(fly)
    machine = fly.make_machine(config=mounting(volume))
    bound = (412, f"failed_precondition: volume is currently bound to machine {machine['id']}")
    path = f"{VOLUMES}/{volume['id']}"
    assert fly.refusal("DELETE", path) == bound
    fly.done("DELETE", f"{MACHINES}/{machine['id']}?force=true")
    assert fly.refusal("DELETE", path) == bound
    sandbox_process.fly_clock(advance=6)
    assert fly.done("DELETE", path)["state"] == "pending_destroy"
    assert sandbox_process.state()["fly"]["volumes"] == {}
    assert fly("DELETE", path).status == 404
    assert [one["state"] for one in fly.done("GET", VOLUMES)] == ["pending_destroy"]
    sandbox_process.fly_clock(advance=6)
    assert fly.done("GET", VOLUMES) == []


def test_a_deleted_volume_may_still_look_alive(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(volume_lag_reads=1)
    fly.done("DELETE", f"{VOLUMES}/{make(fly)['id']}")
    looks = [[one["state"] for one in fly.done("GET", VOLUMES)] for _ in range(2)]
    assert looks == [["created"], ["pending_destroy"]]


def test_an_update_may_change_the_volume(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    volume = make(fly)
    machine = fly.make_machine(config=mounting(volume))
    sandbox_process.fly_clock(advance=15)
    fly.done("POST", f"{MACHINES}/{machine['id']}", {"config": {"image": "i", **mounting(volume)}})
    sandbox_process.fly_clock(advance=15)
    fly.done("POST", f"{MACHINES}/{machine['id']}", {"config": {"image": "i"}})
    assert fly.done("GET", f"{VOLUMES}/{volume['id']}")["attached_machine_id"] is None


def test_a_snapshot_is_taken_one_at_a_time(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    path = f"{VOLUMES}/{make(fly)['id']}/snapshots"
    assert fly("POST", path).status == 200
    assert fly.refusal("POST", path) == (412, "failed_precondition: snapshot is already scheduled")
    sandbox_process.fly_clock(advance=6)
    assert [one["status"] for one in fly.done("GET", path)] == ["created"]


def test_a_volume_is_forked_in_its_size(fly: FlyCaller) -> None:
    source = make(fly, size_gb=9)
    assert make(fly, region="fra", source_volume_id=source["id"])["size_gb"] == 9
