import pytest
import urllib3

from tests.sandbox.fly.caller import MACHINES, FlyCaller
from tests.sandbox_process import SandboxProcess

BAD_TOKEN = {"error": "Authenticate: token validation error"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic sandbox-fly-org-token", "FlyV1 wrong"])
def test_a_token_that_is_not_ours_is_refused(fly: FlyCaller, header: str) -> None:
    answer = fly("GET", "/v1/apps/shop", headers={"Authorization": header})
    assert (answer.status, answer.json) == (401, BAD_TOKEN)


@pytest.mark.parametrize("scheme", ["Bearer", "FlyV1"])
def test_both_schemes_are_good(fly: FlyCaller, scheme: str) -> None:
    answer = fly("GET", "/v1/apps/shop", headers={"Authorization": f"{scheme} sandbox-fly-org-token"})
    assert answer.status == 200


def test_every_answer_bears_the_ids_that_support_asks_for(fly: FlyCaller) -> None:
    answers = [fly("GET", "/v1/apps/shop"), fly("GET", "/v1/apps/none"), fly("GET", "/v1/nowhere")]
    ids = {answer.headers["fly-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(len(one) == 30 and one.endswith("-iad") for one in ids)
    assert {len(answer.headers["fly-trace-id"]) for answer in answers} == {32}
    assert {len(answer.headers["fly-span-id"]) for answer in answers} == {16}


def test_unknown_paths_and_methods_are_json(fly: FlyCaller) -> None:
    unknown, method = fly("GET", "/v1/nowhere"), fly("PATCH", "/v1/apps/shop")
    assert (unknown.status, unknown.json) == (404, {"error": "not found"})
    assert (method.status, method.json) == (405, {"error": "method not allowed"})


@pytest.mark.parametrize("body", ["{", "[1]", '"text"', "null", "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(fly: FlyCaller, body: str) -> None:
    status, text = fly.refusal("POST", "/v1/apps", body)
    assert status == 400
    assert text.startswith("invalid_argument: the body")


def test_a_deploy_token_is_good_for_its_own_app_alone(fly: FlyCaller) -> None:
    fly.make_app("other")
    deployer = fly.deploy_token(expiry="2h")
    assert deployer("GET", "/v1/apps/shop").status == 200
    assert deployer("GET", "/v1/apps/other").status == 403
    assert deployer("GET", "/v1/apps?org_slug=sandbox").status == 403
    assert deployer("POST", "/v1/apps", {"name": "new", "org_slug": "sandbox"}).status == 403
    assert deployer("GET", "/v1/orgs/sandbox/machines").status == 403
    assert deployer("GET", "/api/v1/apps/other/logs").status == 403
    assert deployer("POST", "/v1/apps/shop/deploy_token", {"expiry": "2h"}).status == 403


def test_a_deploy_token_expires(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    deployer = fly.deploy_token(expiry="1h30m")
    sandbox_process.fly_clock(advance=5399)
    assert deployer("GET", "/v1/apps/shop").status == 200
    assert list(sandbox_process.state()["fly"]["tokens"]) == [deployer.token]
    sandbox_process.fly_clock(advance=2)
    assert (deployer("GET", "/v1/apps/shop").status, deployer("GET", "/v1/apps/shop").json) == (401, BAD_TOKEN)
    assert sandbox_process.state()["fly"]["tokens"] == {}


def test_a_token_without_expiry_lasts_20_years(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    fly.deploy_token()
    [kept] = sandbox_process.state()["fly"]["tokens"].values()
    assert kept["app"] == "shop"
    assert int(kept["expires_at"][:4]) >= 2045


@pytest.mark.parametrize("expiry", ["soon", "2", "-1h", "0s", "2h "])
def test_an_expiry_is_a_duration(fly: FlyCaller, expiry: str) -> None:
    assert fly.refusal("POST", "/v1/apps/shop/deploy_token", {"expiry": expiry})[0] == 400


def test_a_token_tells_what_it_is_good_for(fly: FlyCaller) -> None:
    [mine] = fly.done("GET", "/v1/tokens/current")["tokens"]
    [deployer] = fly.deploy_token(expiry="2h").done("GET", "/v1/tokens/current")["tokens"]
    assert (mine["org_slug"], mine["apps"], deployer["apps"]) == ("sandbox", [], ["shop"])


def test_revoked_tokens_are_refused(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    deployer = fly.deploy_token(expiry="2h")
    sandbox_process.revoke_fly_tokens()
    assert deployer("GET", "/v1/apps/shop").status == 401


def test_there_are_no_rate_limits_until_they_are_asked_for(fly: FlyCaller) -> None:
    assert {fly("GET", MACHINES).status for _ in range(20)} == {200}


def test_rate_limits_are_buckets_per_action_and_thing(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    fly.make_app("other")
    sandbox_process.fly_settings(rate_limits=True)
    answers = [fly("GET", MACHINES) for _ in range(8)]
    assert [answer.status for answer in answers[:3]] == [200, 200, 200]
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {429}
    assert (refused[0].json, refused[0].headers["Retry-After"]) == ({"error": "rate limit exceeded"}, "1")
    assert fly("GET", "/v1/apps/other/machines").status == 200
    looks = [fly("GET", f"{MACHINES}/{machine['id']}").status for _ in range(24)]
    assert looks[:10] == [200] * 10
    assert 429 in looks[10:]
    sandbox_process.fly_clock(advance=3600)
    again = [fly("GET", MACHINES).status for _ in range(8)]
    assert again[:3] == [200, 200, 200]
    assert 429 in again


def test_an_ordered_failure_looks_like_flys(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.faults(target="fly", match="GET /v1/apps/shop$", status=503)
    sandbox_process.faults(target="fly", match="GET /v1/apps/shop$", status=429)
    unavailable, limited = fly("GET", "/v1/apps/shop"), fly("GET", "/v1/apps/shop")
    assert (unavailable.status, set(unavailable.json)) == (503, {"error"})
    assert (limited.status, limited.headers["Retry-After"]) == (429, "1")
    assert unavailable.headers["fly-request-id"]


def test_a_connection_cut_afterwards_has_made_the_app(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    sandbox_process.faults(target="fly", match="POST /v1/apps$", drop="after")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        fly.make_app("cut")
    assert set(sandbox_process.state()["fly"]["apps"]) == {"shop", "cut"}


def test_the_journal_keeps_no_tokens_and_no_nonces(fly: FlyCaller, sandbox_process: SandboxProcess) -> None:
    machine = fly.make_machine()
    fly("GET", f"{MACHINES}/{machine['id']}", headers={"fly-machine-lease-nonce": "nonce-value"})
    kept = str(sandbox_process.requests("fly"))
    assert "nonce-value" not in kept
    assert "sandbox-fly-org-token" not in kept
