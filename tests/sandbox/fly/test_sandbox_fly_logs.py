import pytest

from tests.sandbox.fly.caller import FlyCaller
from tests.sandbox_process import SandboxProcess

LOGS = "/api/v1/apps/shop/logs"


def messages(page: dict[str, object]) -> list[str]:
    data = page["data"]
    assert isinstance(data, list)
    return [str(line["attributes"]["message"]) for line in data]


def test_a_starting_machine_says_so(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine(region="ams", config={"services": [{"internal_port": 3000}]})
    sandbox_process.fly_clock(advance=15)
    page = fly.deploy_token(expiry="1h").done("GET", LOGS)
    assert messages(page) == [
        "Pulling container image registry.fly.io/shop:v1",
        "Starting machine",
        "Listening on http://0.0.0.0:3000",
    ]
    last = page["data"][-1]
    assert len({line["id"] for line in page["data"]}) == 3
    assert (last["attributes"]["instance"], last["attributes"]["region"]) == (machine["id"], "ams")
    assert last["attributes"]["meta"]["event"] == {"provider": "app"}
    assert page["data"][0]["attributes"]["meta"]["event"] == {"provider": "runner"}
    assert last["attributes"]["timestamp"].endswith("Z")


def test_an_app_without_lines_has_an_empty_page(fly: FlyCaller) -> None:
    assert fly.done("GET", LOGS) == {"data": [], "meta": {"next_token": ""}}


def test_the_token_leads_on_to_later_lines(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_lines("shop", "one", "two")
    first = fly.done("GET", LOGS)
    token = first["meta"]["next_token"]
    empty = fly.done("GET", f"{LOGS}?next_token={token}")
    assert (messages(first), empty) == (["one", "two"], {"data": [], "meta": {"next_token": token}})
    sandbox_process.fly_lines("shop", "three")
    assert messages(fly.done("GET", f"{LOGS}?next_token={token}")) == ["three"]


def test_a_page_has_a_hundred_lines_at_most(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_lines("shop", *(f"line {number}" for number in range(250)))
    newest = messages(fly.done("GET", LOGS))
    assert (len(newest), newest[-1]) == (100, "line 249")
    found, token = [], "1"
    while page := fly.done("GET", f"{LOGS}?next_token={token}"):
        if not page["data"]:
            break
        found += messages(page)
        token = page["meta"]["next_token"]
    assert found == [f"line {number}" for number in range(250)]


def test_lines_are_chosen_by_machine_and_region(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fly_lines(
        "shop",
        {"message": "a", "instance": "m1", "region": "ams"},
        {"message": "b", "instance": "m2", "region": "fra", "level": "error", "provider": "proxy"},
    )
    assert messages(fly.done("GET", f"{LOGS}?instance=m1")) == ["a"]
    assert messages(fly.done("GET", f"{LOGS}?region=fra")) == ["b"]


@pytest.mark.parametrize(("path", "status"), [(f"{LOGS}?next_token=x", 400), ("/api/v1/apps/none/logs", 404)])
def test_nonsense_and_unknown_apps_are_refused(fly: FlyCaller, path: str, status: int) -> None:
    assert fly("GET", path).status == status


def test_one_app_never_has_the_lines_of_another(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.make_app("other")
    sandbox_process.fly_lines("other", "theirs")
    assert fly.done("GET", LOGS)["data"] == []
