import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.actors import GitHubClient
from tests.sandbox_process import SandboxProcess

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def test_it_has_no_page_for_an_unknown_client(github: GitHubClient) -> None:
    assert github.look(client_id="someone").status == 404


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example.com/api/auth/github/callback",
        "http://127.0.0.1:3000/elsewhere",
        "http://localhost.example.com/api/auth/github/callback",
        "http://127.0.0.1@example.com/api/auth/github/callback",
        "javascript://127.0.0.1/api/auth/github/callback",
        "http://127.0.0.1:port/api/auth/github/callback",
    ],
)
def test_it_refuses_a_redirect_that_is_not_registered(github: GitHubClient, address: str) -> None:
    for answer in (github.look(redirect_uri=address), github.press(redirect_uri=address, login="alice")):
        assert answer.status == 400
        assert "redirect_uri is not associated" in answer.text


def test_it_refuses_plain_pkce(github: GitHubClient) -> None:
    answer = github.look(code_challenge=CHALLENGE, code_challenge_method="plain")
    assert answer.status == 302
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["error"] == ["invalid_request"]


def test_the_page_offers_the_cast_and_anyone_else(github: GitHubClient) -> None:
    page = github.look(scope="user:email", login="dora<")
    assert page.status == 200
    for shown in ('value="alice"', 'value="bob"', 'value="charlie"', 'value="dora&lt;"', "user:email", "sandbox"):
        assert shown in page.text
    assert "<script" not in page.text


def test_cancel_goes_back_without_a_code(github: GitHubClient) -> None:
    location = github.press(cancel="1").headers["Location"]
    query = parse_qs(urlsplit(location).query)
    assert (query["error"], query["state"], "code" in query) == (["access_denied"], ["s1"], False)


def test_it_asks_again_for_a_login_that_cannot_be(github: GitHubClient) -> None:
    for login in ("", "-a", "a--b", "a b", "a" * 40, "_acme", "a_", "a_b_acme", "a_ac", "a_too-long", "a_123456789"):
        assert github.press(login=login).status == 422


def test_a_login_that_a_company_manages_is_a_person(github: GitHubClient) -> None:
    assert github.api("/user", github.token_for("dora-x_acme")).json["login"] == "dora-x_acme"


def test_a_code_is_good_once(github: GitHubClient) -> None:
    code = github.code_for("alice")
    assert github.exchange(code)["token_type"] == "bearer"
    assert github.exchange(code)["error"] == "bad_verification_code"


def test_a_code_is_over_in_time(sandbox_process: SandboxProcess, github: GitHubClient) -> None:
    sandbox_process.settings(github_code_seconds=0)
    assert github.exchange(github.code_for("alice"))["error"] == "bad_verification_code"


def test_a_code_is_bound_to_client_and_redirect(github: GitHubClient) -> None:
    code = github.code_for("alice")
    assert github.exchange(code, client_secret="wrong")["error"] == "incorrect_client_credentials"
    assert github.exchange(code, client_id="wrong")["error"] == "incorrect_client_credentials"
    other = "http://127.0.0.1:3001/api/auth/github/callback"
    assert github.exchange(code, redirect_uri=other)["error"] == "redirect_uri_mismatch"
    assert github.exchange(code, redirect_uri=github.callback)["token_type"] == "bearer"


def test_a_code_with_a_challenge_wants_its_verifier(github: GitHubClient) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    for wrong in ({}, {"code_verifier": "w" * 43}):
        assert github.exchange(github.code_for("alice", **challenge), **wrong)["error"] == "bad_verification_code"
    assert "access_token" in github.exchange(github.code_for("alice", **challenge), code_verifier=VERIFIER)


def test_a_refusal_is_a_200_with_the_three_fields(github: GitHubClient) -> None:
    assert github.exchange("nothing") == {
        "error": "bad_verification_code",
        "error_description": "The code passed is incorrect or expired.",
        "error_uri": "https://docs.github.com/apps/managing-oauth-apps/"
        "troubleshooting-oauth-app-access-token-request-errors/#bad-verification-code",
    }


def test_the_exchange_answers_as_a_form_unless_asked_for_json(github: GitHubClient) -> None:
    response = github.pool.request(
        "POST",
        f"{github.base}/login/oauth/access_token",
        json={
            "client_id": github.client_id,
            "client_secret": github.client_secret,
            "code": github.code_for("alice", scope="user:email read:org"),
        },
    )
    assert response.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    answer = parse_qs(response.data.decode())
    assert answer["access_token"][0].startswith("gho_")
    assert (answer["scope"], answer["token_type"]) == (["read:org,user:email"], ["bearer"])


def test_the_api_refuses_other_tokens(github: GitHubClient) -> None:
    assert github.api("/user", "gho_nothing").json["message"] == "Bad credentials"
    assert github.api("/user").json["message"] == "Requires authentication"
    assert (github.api("/user", "gho_nothing").status, github.api("/user").status) == (401, 401)


def test_the_api_refuses_a_client_without_a_name(github: GitHubClient) -> None:
    assert github.api("/user", github.token_for("alice"), **{"User-Agent": ""}).status == 403


def test_the_same_login_is_always_the_same_person(github: GitHubClient) -> None:
    first, again = (github.api("/user", github.token_for(login)).json for login in ("Dora", "dora"))
    assert first == again
    assert first["id"] != github.api("/user", github.token_for("alice")).json["id"]


def test_a_hidden_address_is_null_at_user_and_private_at_emails(github: GitHubClient) -> None:
    token = github.token_for("charlie")
    assert github.api("/user", token).json["email"] is None
    assert github.api("/user/emails", token).json == [
        {"email": "charlie@example.com", "verified": True, "primary": True, "visibility": "private"}
    ]


def test_scopes_decide_what_is_seen(github: GitHubClient) -> None:
    bare, full = github.token_for("alice", scope=""), github.token_for("alice", scope="user:email,read:org")
    assert (github.api("/user/emails", bare).status, github.api("/user/orgs", bare).json) == (404, [])
    assert github.api("/user/emails", full).json[0]["email"] == "alice@example.com"
    assert [org["login"] for org in github.api("/user/orgs", full).json] == ["crayon-team"]
    assert github.api("/user", full).headers["X-OAuth-Scopes"] == "read:org, user:email"


def test_the_enterprise_address_answers_too(github: GitHubClient) -> None:
    assert github.api("/v3/user", github.token_for("bob")).json["login"] == "bob"


def test_a_renamed_person_keeps_their_id_and_tokens(sandbox_process: SandboxProcess, github: GitHubClient) -> None:
    token = github.token_for("alice")
    before = github.api("/user", token).json["id"]
    sandbox_process.control("POST", "/github/people/alice", {"login": "alice-two", "emails": ["new@example.com"]})
    after = github.api("/user", token).json
    assert (after["id"], after["login"]) == (before, "alice-two")
    assert github.api("/user/emails", token).json[0]["email"] == "new@example.com"


def test_revoked_tokens_are_bad_credentials(sandbox_process: SandboxProcess, github: GitHubClient) -> None:
    token = github.token_for("alice")
    sandbox_process.control("DELETE", "/github/tokens")
    assert github.api("/user", token).status == 401


ORG_TOKEN = "sandbox-github-org-token"


def test_its_own_token_sees_all_members_of_an_organization_and_a_strangers_the_public_ones(
    sandbox_process: SandboxProcess, github: GitHubClient
) -> None:
    sandbox_process.github_person("bob", public_orgs=["crayon-team"])
    stranger = github.token_for("charlie", scope="read:org")
    shown = [github.api("/orgs/crayon-team/members", token).json for token in (ORG_TOKEN, stranger)]
    assert [[member["login"] for member in each] for each in shown] == [["alice", "bob", "crayon-bot"], ["bob"]]
    about = [github.api(f"/orgs/crayon-team/members/{login}", ORG_TOKEN).status for login in ("alice", "charlie")]
    assert about == [204, 404]
    answer = github.api("/orgs/crayon-team/members/alice", stranger)
    assert (answer.status, answer.headers["Location"].endswith("/public_members/alice")) == (302, True)


def test_a_token_without_the_scope_is_shown_public_members_only(
    sandbox_process: SandboxProcess, github: GitHubClient
) -> None:
    sandbox_process.github_org_token(scopes=[])
    assert github.api("/orgs/crayon-team/members", ORG_TOKEN).json == []
    sandbox_process.github_org_token(revoked=True)
    assert github.api("/orgs/crayon-team/members", ORG_TOKEN).status == 401


def test_members_come_by_pages(sandbox_process: SandboxProcess, github: GitHubClient) -> None:
    sandbox_process.github_organization("crayon-team", members=[f"m-{n}" for n in range(120)] + ["crayon-bot"])
    first = github.api("/orgs/crayon-team/members?per_page=100", ORG_TOKEN)
    second = github.api("/orgs/crayon-team/members?per_page=100&page=2", ORG_TOKEN)
    assert [len(each.json) for each in (first, second)] == [100, 21]
    assert 'page=2>; rel="next"' in first.headers["Link"]
    assert "Link" not in second.headers


def test_an_organization_may_be_gone_or_have_another_name(
    sandbox_process: SandboxProcess, github: GitHubClient
) -> None:
    sandbox_process.github_organization("crayon-team", moved_to="crayons")
    moved = github.api("/orgs/crayon-team/members", ORG_TOKEN)
    assert (moved.status, "/organizations/" in moved.headers["Location"]) == (301, True)
    sandbox_process.github_organization("crayon-team", moved_to="", is_gone=True)
    assert [github.api(path, ORG_TOKEN).status for path in ("/orgs/crayon-team", "/orgs/nobodys")] == [404, 404]
