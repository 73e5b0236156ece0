"""Refreshing tokens, as the stand-in for Nango does it on read."""

from typing import Any

import pytest

from tests.sandbox.actors import Answer, NangoClient, Receiver
from tests.sandbox_process import SandboxProcess

PATH = "/connections/c1?provider_config_key=github"


@pytest.fixture
def connection(sandbox_process: SandboxProcess) -> None:
    sandbox_process.seed(integration="github", connection_id="c1", tags={"end_user_id": "u-1"})


def held(sandbox_process: SandboxProcess) -> Any:
    return sandbox_process.state()["nango"]["connections"]["c1"]


@pytest.mark.usefixtures("connection")
def test_a_token_far_from_its_end_is_given_as_it_is(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.change_connection("github", "c1", expires_in=16 * 60)
    first, again = nango("GET", PATH).json["credentials"], nango("GET", PATH).json["credentials"]
    assert first == again
    assert held(sandbox_process)["refreshes"] == 0


@pytest.mark.usefixtures("connection")
def test_a_token_within_15_minutes_of_its_end_is_refreshed_once(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    before = held(sandbox_process)["credentials"]["access_token"]
    sandbox_process.change_connection("github", "c1", expires_in=14 * 60)
    tokens = {nango("GET", PATH).json["credentials"]["access_token"] for _ in range(3)}
    assert len(tokens) == 1
    assert before not in tokens
    assert held(sandbox_process)["refreshes"] == 1


@pytest.mark.usefixtures("connection")
def test_refresh_tokens_are_shown_only_on_request(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    secret = held(sandbox_process)["credentials"]["refresh_token"]
    assert "refresh_token" not in nango("GET", PATH).text
    shown = nango("GET", f"{PATH}&refresh_token=YES").json["credentials"]
    assert (shown["refresh_token"], shown["raw"]["refresh_token"]) == (secret, secret)


def test_an_expired_token_without_a_refresh_token_is_given_as_it_is(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    credentials = {"type": "OAUTH2", "access_token": "at", "expires_at": "2020-01-01T00:00:00.000Z", "raw": {}}
    sandbox_process.seed(integration="github", connection_id="c1", credentials=credentials)
    assert nango("GET", PATH).json["credentials"] == credentials


@pytest.mark.usefixtures("connection")
def test_a_refused_refresh_is_400_then_424_for_a_while(
    sandbox_process: SandboxProcess, nango: NangoClient, receiver: Receiver
) -> None:
    sandbox_process.change_connection("github", "c1", expires_in=5, refresh="rejected")
    refused = nango("GET", PATH)
    assert (refused.status, refused.code) == (400, "invalid_credentials")
    shown = refused.json["error"]["payload"]["connection"]
    assert (shown["credentials"], shown["tags"]) == ({}, {"end_user_id": "u-1"})
    assert shown["errors"][0]["type"] == "auth"
    assert_backs_off(nango("GET", PATH))
    assert nango("GET", "/connections").json["connections"][0]["errors"] == shown["errors"]
    [webhook] = (sandbox_process.webhooks(), receiver.bodies)[1]
    assert (webhook["operation"], webhook["success"]) == ("refresh", False)
    assert set(webhook["error"]) == {"type", "description"}
    sandbox_process.settings(refresh_backoff_seconds=0)
    sandbox_process.change_connection("github", "c1", refresh="ok")
    assert nango("GET", PATH).json["errors"] == []


@pytest.mark.usefixtures("connection")
def test_a_failed_forced_refresh_blocks_even_a_token_that_is_still_good(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.change_connection("github", "c1", refresh="rejected")
    assert nango("GET", PATH).status == 200
    assert nango("GET", f"{PATH}&force_refresh=true").status == 400
    assert_backs_off(nango("GET", PATH))


@pytest.mark.usefixtures("connection")
def test_an_exhausted_connection_is_424_until_it_is_mended(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.change_connection("github", "c1", expires_in=5, refresh="exhausted")
    for _ in range(2):
        assert (nango("GET", PATH).status, nango("GET", PATH).code) == (424, "invalid_credentials")


def assert_backs_off(answer: Answer) -> None:
    assert (answer.status, answer.code) == (424, "invalid_credentials")
    assert "Backing off" in answer.json["error"]["message"]
