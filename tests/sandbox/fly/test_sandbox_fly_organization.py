from datetime import datetime
from urllib.parse import quote

import pytest

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

ORGANIZATION = "/v1/orgs/sandbox"


def pages(fly: FlyCaller, query: str) -> list[list[str]]:
    """The names of the machines, page by page."""
    found, cursor = [], ""
    while True:
        page = fly.done("GET", f"{ORGANIZATION}/machines?{query}{cursor}")
        found.append([str(machine["name"]) for machine in page["machines"]])
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={quote(page['next_cursor'])}"


def test_all_machines_are_listed_page_by_page(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_app("other")
    for number in range(3):
        fly.make_machine(name=f"shop-{number}")
        fly.make_machine("other", name=f"other-{number}")
    found = pages(fly, "limit=4")
    assert [len(page) for page in found] == [4, 2]
    names = [name for page in found for name in page]
    assert sorted(names) == [f"{app}-{number}" for app in ("other", "shop") for number in range(3)]
    assert pages(fly, "limit=6") == [names]


def test_a_listed_machine_says_what_reconciling_needs(fly: FlyCaller) -> None:
    made = fly.make_machine(name="web", config={"metadata": {"a": "b"}, "env": {"SECRET": "x"}})
    answer = fly.done("GET", f"{ORGANIZATION}/machines")
    [listed] = answer["machines"]
    assert (listed["app_name"], listed["id"], listed["state"], listed["region"], listed["version"]) == (
        "shop",
        made["id"],
        "created",
        "iad",
        made["instance_id"],
    )
    assert listed["config"]["metadata"] == {"a": "b"}
    assert "env" not in listed["config"]
    assert answer["last_updated_at"] == listed["updated_at"]
    assert answer["error_regions"] == []
    assert datetime.fromisoformat(listed["updated_at"]).tzinfo is not None


def test_only_later_changes_are_listed_when_asked(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_machine(name="early", skip_launch=True)
    later = fly.make_machine(name="later", skip_launch=True)
    sandbox_process.fly_clock(advance=30)
    since = fly.done("GET", f"{ORGANIZATION}/machines")["last_updated_at"]
    assert pages(fly, f"updated_after={since}") == [[]]
    fly.done("POST", f"{MACHINES}/{later['id']}/metadata/a", {"value": "b"})
    assert pages(fly, f"updated_after={since}") == [["later"]]


def test_states_and_destroyed_machines_are_chosen(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    gone = fly.make_machine(name="gone")
    fly.done("DELETE", f"{MACHINES}/{gone['id']}?force=true")
    sandbox_process.fly_clock(advance=10)
    fly.make_machine(name="new")
    assert pages(fly, "") == [["new"]]
    assert pages(fly, "include_deleted=true") == [["gone", "new"]]
    assert pages(fly, "state=started") == [[]]
    assert pages(fly, "state=created,destroyed") == [["gone", "new"]]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "updated_after=then", "cursor=%ff"])
def test_questions_that_make_no_sense_are_refused(fly: FlyCaller, query: str) -> None:
    assert fly.refusal("GET", f"{ORGANIZATION}/machines?{query}")[0] == 400


def test_other_organizations_are_forbidden_and_their_machines_unlisted(
    fly: FlyCaller, sandbox_process: SandboxProcess
) -> None:
    sandbox_process.add_fly_app("theirs", org_slug="elsewhere")
    assert fly("GET", "/v1/orgs/elsewhere/machines").status == 403
    assert pages(fly, "") == [[]]


def test_all_volumes_are_listed(fly: FlyCaller) -> None:
    made = [fly.done("POST", "/v1/apps/shop/volumes", {"name": name, "region": "ams"}) for name in ("a", "b")]
    first = fly.done("GET", f"{ORGANIZATION}/volumes?limit=1")
    second = fly.done("GET", f"{ORGANIZATION}/volumes?cursor={quote(first['next_cursor'])}")
    assert [one["id"] for one in first["volumes"] + second["volumes"]] == [one["id"] for one in made]
    assert {one["app_name"] for one in first["volumes"]} == {"shop"}


def test_regions_are_spelt_in_two_ways(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    live = fly.done("GET", "/v1/platform/regions")
    sandbox_process.fly_settings(regions_in_pascal_case=False)
    documented = fly.done("GET", "/v1/platform/regions")
    assert [one["Code"] for one in live["Regions"]] == [one["code"] for one in documented["regions"]]
    assert len(documented["regions"]) == 18
    assert {one["code"] for one in documented["regions"] if not one["gateway_available"]} == {"gru", "jnb"}
    assert live["Regions"][0]["GeoRegion"] == documented["regions"][0]["geo_region"]


def test_placements_say_where_there_is_room(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_settings(regions_in_pascal_case=False)
    sandbox_process.fly_room("ams", machines=0)
    asked = {"org_slug": "sandbox", "region": "ams,fra", "compute": {"memory_mb": 512}}
    found = fly.done("POST", "/v1/platform/placements", asked)["regions"]
    assert {one["region"]: one["count"] for one in found} == {"ams": 0, "fra": 1}
