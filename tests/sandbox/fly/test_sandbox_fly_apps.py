import pytest

from tests.sandbox.fly.caller import FlyCaller
from tests.sandbox_process import SandboxProcess
from tests.stopwatch import Stopwatch


def test_an_app_is_made_and_shown(fly: FlyCaller) -> None:
    answer = fly("POST", "/v1/apps?wait=true", {"app_name": "cafe", "org_slug": "sandbox", "network": "n1"})
    assert (answer.status, set(answer.json)) == (201, {"id", "created_at"})
    assert "fly_flaps_affinity=" in answer.headers["Set-Cookie"]
    assert "Path=/fly/v1/apps/cafe" in answer.headers["Set-Cookie"]
    shown = fly.done("GET", "/v1/apps/cafe")
    assert shown == {
        "id": answer.json["id"],
        "internal_numeric_id": shown["internal_numeric_id"],
        "name": "cafe",
        "organization": {"name": "Sandbox", "slug": "sandbox", "internal_numeric_id": 1},
        "network": "n1",
        "status": "pending",
        "machine_count": 0,
        "volume_count": 0,
    }
    fly.make_machine("cafe")
    after = fly.done("GET", "/v1/apps/cafe")
    assert (after["status"], after["machine_count"]) == ("deployed", 1)


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "shop-", "a b", "a" * 64])
def test_a_name_must_be_one(fly: FlyCaller, name: str) -> None:
    assert fly.refusal("POST", "/v1/apps", {"name": name, "org_slug": "sandbox"})[0] == 422


def test_a_name_is_taken_once_for_everybody(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.add_fly_app("theirs", org_slug="elsewhere")
    for name in ("shop", "theirs"):
        answer = fly("POST", "/v1/apps", {"name": name, "org_slug": "sandbox"})
        expected = {"error": "Validation failed: Name has already been taken", "status": "name_taken"}
        assert (answer.status, answer.json) == (422, expected)


def test_the_same_key_and_name_give_the_same_app(fly: FlyCaller) -> None:
    first = fly.make_app("once", idempotency_key="k1")
    assert fly.make_app("once", idempotency_key="k1") == first
    taken = fly("POST", "/v1/apps", {"name": "once", "org_slug": "sandbox", "idempotency_key": "k2"})
    other = fly("POST", "/v1/apps", {"name": "twice", "org_slug": "sandbox", "idempotency_key": "k1"})
    assert (taken.status, taken.json["status"]) == (422, "name_taken")
    assert (other.status, other.json) == (
        422,
        {"error": "Validation failed: Idempotency key has already been used for another app"},
    )


def test_apps_of_others_are_forbidden_and_unlisted(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.add_fly_app("theirs", org_slug="elsewhere")
    assert fly("GET", "/v1/apps/theirs").status == 403
    assert fly("DELETE", "/v1/apps/theirs").status == 403
    assert fly("POST", "/v1/apps", {"name": "new", "org_slug": "elsewhere"}).status == 403
    listed = fly.done("GET", "/v1/apps?org_slug=sandbox")
    assert (listed["total_apps"], [app["name"] for app in listed["apps"]]) == (1, ["shop"])


def test_an_app_may_appear_without_our_doing(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.add_fly_app("surprise")
    assert fly.done("GET", "/v1/apps/surprise")["organization"]["slug"] == "sandbox"
    sandbox_process.remove_fly_app("surprise")
    assert fly("GET", "/v1/apps/surprise").status == 404


def test_deletion_is_accepted_and_done_later(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_machine()
    fly.deploy_token(expiry="2h")
    assert fly("DELETE", "/v1/apps/shop?force=true").status == 202
    left = sandbox_process.state()["fly"]
    assert left == {"apps": {}, "machines": {}, "volumes": {}, "ips": {}, "secrets": {}, "tokens": {}, "runs": {}}
    assert fly("GET", "/v1/apps/shop").status == 404
    assert fly("DELETE", "/v1/apps/shop").status == 202
    assert fly("POST", "/v1/apps", {"name": "shop", "org_slug": "sandbox"}).json["status"] == "name_taken"
    sandbox_process.fly_clock(advance=10)
    assert fly("DELETE", "/v1/apps/shop").status == 404
    fly.make_app("shop")


@pytest.mark.parametrize("status", [404, 401])
def test_a_new_app_stays_unseen_for_so_many_looks(fly: FlyCaller, sandbox_process: SandboxProcess, status: int) -> None:
    sandbox_process.fly_settings(app_lag_reads=2, app_lag_status=status)
    fly.make_app("late")
    paths = ["/v1/apps/late", "/v1/apps/late/ip_assignments", "/v1/apps/late"]
    assert [fly("GET", path).status for path in paths] == [status, status, 200]


def test_a_new_app_stays_unseen_for_so_many_seconds(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(app_lag_seconds=60)
    fly.make_app("late")
    assert fly("GET", "/v1/apps/late").status == 404
    assert fly.done("GET", "/v1/apps?org_slug=sandbox")["total_apps"] == 1
    sandbox_process.fly_clock(advance=61)
    assert fly("GET", "/v1/apps/late").status == 200


def test_addresses_are_given_listed_and_taken(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    path = "/v1/apps/shop/ip_assignments"
    made = {kind: fly.done("POST", path, {"type": kind}) for kind in ("v4", "v6", "shared_v4", "private_v6")}
    assert [one["shared"] for one in made.values()] == [False, False, True, False]
    assert made["v6"]["ip"].startswith("2a09:8280:1::")
    assert made["private_v6"]["ip"].startswith("fdaa:")
    assert fly.done("GET", path) == {"ips": list(made.values())}
    assert {one["type"] for one in sandbox_process.state()["fly"]["ips"].values()} == set(made)
    assert fly("DELETE", f"{path}/{made['v4']['ip']}").status == 204
    assert fly("DELETE", f"{path}/{made['v4']['ip']}").status == 404
    assert fly.refusal("POST", path, {"type": "v5"})[0] == 400


@pytest.mark.parametrize("status", [422, 409])
def test_a_second_shared_address_is_refused_and_a_second_v6_is_not(
    fly: FlyCaller, sandbox_process: SandboxProcess, status: int
) -> None:
    sandbox_process.fly_settings(duplicate_ip_status=status)
    path = "/v1/apps/shop/ip_assignments"
    answers = [fly("POST", path, {"type": kind}).status for kind in ("shared_v4", "shared_v4", "v6", "v6")]
    assert answers == [200, status, 200, 200]
    assert len(sandbox_process.state()["fly"]["ips"]) == 3


def test_a_machine_starts_within_a_moment_in_development(sandbox_process: SandboxProcess, fly: FlyCaller) -> None:
    sandbox_process.reset()
    fly.make_app("shop")
    machine = fly.make_machine()
    with Stopwatch() as watch:
        fly.done("GET", f"/v1/apps/shop/machines/{machine['id']}/wait?state=started&timeout=10")
    assert watch.seconds > 0.4
    assert watch.at_ease < 4
