"""POST /api/auth/cli/session with `code_challenge`: only who has its verifier is handed the token (RFC 7636)."""

import pytest
from django.utils import timezone

from accounts.models import CLILogin
from accounts.services import cli_login

pytestmark = pytest.mark.django_db
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
# The pair of RFC 7636, appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("name", ["code_challenge", "codeChallenge"])
def test_the_token_wants_the_verifier(nobody_api, alice, name):
    started = nobody_api.post("/api/auth/cli/session", {name: CHALLENGE}).json()["data"]
    asked = {"code": started["code"], "secret": started["secret"]}
    cli_login.approve(login=CLILogin.objects.get(), user=alice, now=timezone.now())
    for verifier in ({}, {"code_verifier": "wrong"}, {"code_verifier": CHALLENGE}):
        answer = nobody_api.get("/api/auth/cli/check", **asked, **verifier)
        assert (answer.status_code, list(answer.json())) == (403, ["error"])
    answer = nobody_api.get("/api/auth/cli/check", **asked, code_verifier=VERIFIER)
    assert answer.json()["data"]["status"] == "approved"


@pytest.mark.parametrize("challenge", ["short", CHALLENGE + "=", "ä" * 43, 7])
def test_a_challenge_that_is_none_is_refused(nobody_api, challenge):
    answer = nobody_api.post("/api/auth/cli/session", {"code_challenge": challenge})
    assert answer.status_code == 400
    assert not CLILogin.objects.exists()
