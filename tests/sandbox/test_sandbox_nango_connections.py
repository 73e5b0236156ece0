"""Integrations and connections of the stand-in for Nango."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.actors import NangoClient
from tests.sandbox_process import SandboxProcess

ACME = {"provider_config_key": "acme", "credentials": {"type": "API_KEY", "apiKey": "k"}}


def ids(answer: Any) -> list[str]:
    return [connection["connection_id"] for connection in answer.json["connections"]]


def test_integrations_take_no_parameters(nango: NangoClient) -> None:
    answer = nango("GET", "/integrations?foo=1")
    assert answer.status == 400
    assert answer.json == {
        "error": {
            "code": "invalid_query_params",
            "errors": [{"code": "unrecognized_keys", "message": 'Unrecognized key: "foo"', "path": []}],
        }
    }


def test_an_integration_is_listed_without_its_auth_mode(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    shown = {item["unique_key"]: item for item in nango("GET", "/integrations").json["data"]}
    assert shown["acme"] == {
        "unique_key": "acme",
        "provider": "private-api-generic",
        "display_name": "Acme",
        "logo": f"{sandbox_process.nango_url}/images/template-logos/private-api-generic.svg",
        "forward_webhooks": True,
        "created_at": "2026-01-02T03:04:05.000Z",
        "updated_at": "2026-01-02T03:04:05.000Z",
    }
    assert nango("GET", "/providers/private-api-generic").json["data"]["auth_mode"] == "API_KEY"
    assert nango("GET", "/providers/nothing").code == "not_found"


@pytest.mark.parametrize(
    ("key", "status"), [("x" * 1024, 201), ("x" * 1025, 400), ("🦊" * 512, 201), ("🦊" * 512 + "x", 400)]
)
def test_lengths_are_counted_in_utf_16_units(nango: NangoClient, key: str, status: int) -> None:
    credentials = {"type": "API_KEY", "apiKey": key}
    assert nango("POST", "/connections", {**ACME, "credentials": credentials}).status == status


def test_one_integration_shows_more_when_asked(nango: NangoClient) -> None:
    assert nango("GET", "/integrations/nothing").code == "not_found"
    assert nango("GET", "/integrations/acme?include=tokens").code == "invalid_query_params"
    shown = nango("GET", "/integrations/acme?include=webhook&include=credentials").json["data"]
    assert (shown["credentials"], "webhook_url" in shown) == (None, True)
    assert "webhook_url" not in nango("GET", "/integrations/acme").json["data"]


@pytest.mark.parametrize(
    "query",
    [
        "foo=1",
        "limit=0",
        "limit=2001",
        "limit=many",
        "page=-1",
        "connectionId=",
        "connectionId=" + "a" * 256,
        "integrationId=acme&integrationId=slack",
        "tags=x",
        "tags[a]=",
        "tags[a]=1&tags[a]=2",
        "tags[a]=1&tags[A]=2",
        "tags[1a]=x",
        "tags[end_user_email]=x",
        "search=a&search=b",
    ],
)
def test_a_list_refuses_what_it_does_not_know(nango: NangoClient, query: str) -> None:
    answer = nango("GET", f"/connections?{query}")
    assert (answer.status, answer.code) == (400, "invalid_query_params")


def test_a_listed_connection_has_no_credentials(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(
        integration="acme", connection_id="c1", tags={"end_user_id": "u-1"}, created="2026-01-02T03:04:05.4810+00:00"
    )
    [shown] = nango("GET", "/connections").json["connections"]
    assert shown == {
        "id": 1,
        "connection_id": "c1",
        "provider_config_key": "acme",
        "provider": "private-api-generic",
        "errors": [],
        "end_user": None,
        "tags": {"end_user_id": "u-1"},
        "metadata": None,
        "created": "2026-01-02T03:04:05.481+00:00",
    }


def test_filters_are_joined_by_and(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1", tags={"end_user_id": "u-1", "organization_id": "o-1"})
    sandbox_process.seed(integration="slack", connection_id="c2", tags={"end_user_id": "u-1", "organization_id": "O-1"})
    sandbox_process.seed(integration="slack", connection_id="c1", tags={"end_user_id": "u-2"})
    assert ids(nango("GET", "/connections?tags[end_user_id]=u-1")) == ["c2", "c1"]
    assert ids(nango("GET", "/connections?tags%5BEND_USER_ID%5D=u-1&tags[organization_id]=o-1")) == ["c1"]
    assert ids(nango("GET", "/connections?tags[end_user_id]=u-1&integrationId=slack,acme&connectionId=c1")) == ["c1"]
    assert ids(nango("GET", "/connections?connectionId=c1")) == ["c1", "c1"]
    assert ids(nango("GET", "/connections?integrationId=nothing")) == []
    assert ids(nango("GET", "/connections?search=C2")) == ["c2"]
    assert ids(nango("GET", "/connections?search=u-1")) == []


def test_the_old_filter_is_blind_to_tags_but_tags_see_old_end_users(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.seed(integration="acme", connection_id="new", tags={"end_user_id": "u-1"})
    sandbox_process.seed(integration="acme", connection_id="old", end_user={"id": "u-1", "organization": {"id": "o"}})
    assert ids(nango("GET", "/connections?endUserId=u-1")) == ["old"]
    assert ids(nango("GET", "/connections?endUserOrganizationId=o")) == ["old"]
    assert ids(nango("GET", "/connections?tags[end_user_id]=u-1")) == ["old", "new"]


def test_pages_go_from_the_newest_to_an_empty_one(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c{n}", count=5)
    assert ids(nango("GET", "/connections?limit=2")) == ["c4", "c3"]
    assert ids(nango("GET", "/connections?limit=2&page=2")) == ["c0"]
    assert ids(nango("GET", "/connections?limit=2&page=3")) == []


def test_ten_thousand_connections_are_made_quickly(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    made = sandbox_process.seed(integration="slack", count=10_000, tags={"end_user_id": "u-{n}"})
    assert len(set(made)) == 10_000
    assert ids(nango("GET", "/connections?tags[end_user_id]=u-77")) == [made[77]]


def test_a_detail_shows_credentials_and_its_own_times(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1", created="2026-01-02T03:04:05.481234Z")
    shown = nango("GET", "/connections/c1?provider_config_key=acme").json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", shown.pop("last_fetched_at"))
    assert shown == {
        "id": 1,
        "connection_id": "c1",
        "provider_config_key": "acme",
        "provider": "private-api-generic",
        "errors": [],
        "end_user": None,
        "tags": {},
        "metadata": None,
        "connection_config": {},
        "webhook_url_override": None,
        "created_at": "2026-01-02T03:04:05.481+00:00",
        "updated_at": "2026-01-02T03:04:05.481+00:00",
        "credentials": {"type": "API_KEY", "apiKey": "sandbox-acme-key"},
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/connections/c1", 400, "invalid_query_params"),
        ("/connections/c1?provider_config_key=acme&foo=1", 400, "invalid_query_params"),
        ("/connections/c1?provider_config_key=acme&force_refresh=maybe", 400, "invalid_query_params"),
        ("/connections/c1?provider_config_key=nothing", 400, "unknown_provider_config"),
        ("/connections/c1?provider_config_key=slack", 404, "not_found"),
        ("/connections/c2?provider_config_key=acme", 404, "not_found"),
    ],
)
def test_a_detail_names_what_is_wrong(
    sandbox_process: SandboxProcess, nango: NangoClient, path: str, status: int, code: str
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    answer = nango("GET", path)
    assert (answer.status, answer.code) == (status, code)


def test_an_id_of_the_known_characters_is_one_path_segment(nango: NangoClient) -> None:
    odd = "aZ0,.;:=+~[]|@${}\"'\\/_ -"
    assert nango("POST", "/connections", {**ACME, "connection_id": odd}).status == 201
    path = f"/connections/{quote(odd, safe='')}?provider_config_key=acme"
    assert nango("GET", path).json["connection_id"] == odd
    assert nango("DELETE", path).status == 200


@pytest.mark.parametrize("odd", ["a%b", "a?b", "a#b", "a&b", "a*", "a!", "a(", "a<", "a^", "a`", "\u00e9", "\u200b"])
def test_an_import_takes_ids_by_which_nothing_is_found_again(nango: NangoClient, odd: str) -> None:
    assert nango("POST", "/connections", {**ACME, "connection_id": odd}).status == 201
    assert ids(nango("GET", "/connections")) == [odd]
    path = f"/connections/{quote(odd, safe='')}?provider_config_key=acme"
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {})):
        answer = nango(method, path, body)
        assert (answer.status, answer.code) == (400, "invalid_uri_params")


def test_an_import_takes_the_empty_id_and_fails_at_what_cannot_be_kept(nango: NangoClient) -> None:
    assert nango("POST", "/connections", {**ACME, "connection_id": ""}).status == 201
    assert ids(nango("GET", "/connections")) == [""]
    for change in (
        {"connection_id": "x" * 256},
        {"connection_id": "a\0"},
        {"connection_config": {"a": "\0"}},
        {"tags": {"end_user_display_name": "a\0"}},
    ):
        answer = nango("POST", "/connections", {**ACME, **change})
        assert (answer.status, answer.code) == (500, "server_error")


def test_an_integration_of_odd_characters_has_no_connections(nango: NangoClient) -> None:
    assert nango("GET", f"/connections?integrationId={quote('a#é', safe='')}").json == {"connections": []}


def test_an_import_by_oauth_takes_no_raw_and_answers_with_all_it_has(nango: NangoClient) -> None:
    tokens = {"type": "OAUTH2", "access_token": "at", "refresh_token": "rt"}
    body = {"provider_config_key": "salesforce", "connection_id": "c1", "credentials": tokens}
    refused = nango("POST", "/connections", {**body, "credentials": {**tokens, "raw": {}}})
    assert (refused.status, refused.code) == (400, "invalid_body")
    made = nango("POST", "/connections", body).json["credentials"]
    assert (made["refresh_token"], made["raw"]["refresh_token"]) == ("rt", "rt")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"foo": 1}, 400, "invalid_body"),
        ({"credentials": {"type": "API_KEY", "api_key": "k"}}, 400, "invalid_body"),
        ({"credentials": {"type": "API_KEY", "apiKey": "k" * 1025}}, 400, "invalid_body"),
        ({"credentials": {"type": "JWT"}}, 400, "invalid_body"),
        ({"credentials": {"type": "BASIC", "username": "u", "password": ""}}, 400, "invalid_body"),
        ({"connection_id": 7}, 400, "invalid_body"),
        ({"tags": {"a": 1}}, 400, "invalid_body"),
        ({"tags": {f"k{i}": "v" for i in range(11)}}, 400, "invalid_body"),
        ({"tags": {"A": "1", "a": "2"}}, 400, "invalid_body"),
        ({"webhook_url_override": "http://127.0.0.1/hook"}, 400, "invalid_body"),
        ({"provider_config_key": "nothing"}, 404, "not_found"),
    ],
)
def test_an_import_is_checked_strictly(nango: NangoClient, change: dict[str, object], status: int, code: str) -> None:
    answer = nango("POST", "/connections", {**ACME, **change})
    assert (answer.status, answer.code) == (status, code)
    assert nango("GET", "/connections").json == {"connections": []}


def test_an_import_of_the_wrong_kind_is_refused_with_a_message_only(nango: NangoClient) -> None:
    credentials = {"type": "BASIC", "username": "u", "password": ""}
    refused = nango("POST", "/connections", {**ACME, "credentials": credentials}).json["error"]
    assert set(refused) == {"code", "message"}


def test_an_import_is_tested_against_the_provider(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.settings(refused_credentials=["k"])
    assert nango("POST", "/connections", ACME).code == "connection_test_failed"


def test_an_import_answers_201_with_its_own_spelling_of_times(nango: NangoClient) -> None:
    answer = nango("POST", "/connections", {**ACME, "tags": {"End_User_ID": "U-1"}})
    assert answer.status == 201
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.json["connection_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["created_at"])
    assert (answer.json["tags"], answer.json["credentials"]) == ({"end_user_id": "U-1"}, ACME["credentials"])


def test_a_second_import_replaces_and_wipes_what_is_not_sent(nango: NangoClient) -> None:
    full = {**ACME, "connection_id": "c1", "tags": {"end_user_id": "u-1"}, "metadata": {"a": 1}}
    first = nango("POST", "/connections", full).json
    again = nango("POST", "/connections", {**ACME, "connection_id": "c1"})
    assert (again.status, again.json["id"]) == (201, first["id"])
    assert (again.json["tags"], again.json["metadata"]) == ({}, {})
    assert ids(nango("GET", "/connections?tags[end_user_id]=u-1")) == []


def test_a_patch_replaces_the_tags(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1", tags={"a": "1", "b": "2"})
    path = "/connections/c1?provider_config_key=acme"
    assert nango("PATCH", path, {"tags": {"c": "3"}, "foo": 1}).code == "invalid_body"
    assert nango("PATCH", "/connections/c1?provider_config_key=nothing", {}).code == "unknown_provider_config"
    assert nango("PATCH", "/connections/c2?provider_config_key=acme", {}).status == 404
    assert nango("PATCH", path, {"tags": {"c": "3"}}).json == {"success": True}
    assert nango("GET", path).json["tags"] == {"c": "3"}


def test_metadata_is_replaced_by_post_and_merged_by_patch(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1", metadata={"old": 1})
    pair = {"connection_id": "c1", "provider_config_key": "acme"}
    assert nango("POST", "/connections/metadata", {**pair, "metadata": {"a": 1}}).status == 201
    assert nango("PATCH", "/connections/metadata", {**pair, "metadata": {"b": 2}}).status == 200
    assert nango("GET", "/connections/c1?provider_config_key=acme").json["metadata"] == {"a": 1, "b": 2}


def test_a_second_delete_and_an_unknown_integration_are_the_same_400(
    sandbox_process: SandboxProcess, nango: NangoClient
) -> None:
    sandbox_process.seed(integration="acme", connection_id="c1")
    path = "/connections/c1?provider_config_key="
    assert nango("DELETE", "/connections/c1").code == "invalid_query_params"
    assert nango("DELETE", f"{path}acme").json == {"success": True}
    for key in ("acme", "nothing"):
        answer = nango("DELETE", path + key)
        assert (answer.status, answer.code) == (400, "unknown_connection")


def test_the_same_id_may_exist_under_several_integrations(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    for key in ("acme", "slack"):
        sandbox_process.seed(integration=key, connection_id="c1")
    assert set(sandbox_process.state()["nango"]["connections"]) == {"c1", "slack:c1"}
    nango("DELETE", "/connections/c1?provider_config_key=acme")
    assert nango("GET", "/connections/c1?provider_config_key=slack").status == 200


def test_integrations_can_be_added_and_taken_away(sandbox_process: SandboxProcess, nango: NangoClient) -> None:
    order = {"unique_key": "odd ~:.@_-", "provider": "slack"}
    sandbox_process.control("POST", "/nango/integrations", order)
    sandbox_process.seed(integration="odd ~:.@_-", connection_id="c1")
    assert nango("GET", "/connections/c1?provider_config_key=" + quote("odd ~:.@_-")).status == 200
    sandbox_process.control("DELETE", "/nango/integrations/" + quote("odd ~:.@_-"))
    assert nango("GET", "/connections").json == {"connections": []}
