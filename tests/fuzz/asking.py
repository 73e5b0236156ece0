"""What the tests of bad requests share: which routes there are, and what a refusal looks like."""

from typing import Any

CONNECTION = {"integration_id": "acme", "connection_id": "mine"}
NEW_CONNECTION = {**CONNECTION, "credentials": {"apiKey": "not-a-secret"}, "connection_config": {"a": "b"}}
# Routes that read a JSON body, with one that they take.
WITH_BODY: dict[str, dict[str, Any]] = {
    "/api/auth/cli/session": {"clientName": "crayon CLI", "hostname": "laptop"},
    "/api/nango/connect-session": CONNECTION,
    "/api/connections/create": NEW_CONNECTION,
    "/api/connections/delete": CONNECTION,
}
GETS = (
    "/api/integrations",
    "/api/integrations/acme/connections",
    "/api/credentials/acme?connection_id=mine",
    "/api/auth/cli/check?code=00000000&secret=0",
    "/api/docs/openapi.json",
)
POSTS = (*WITH_BODY, "/api/auth/logout", "/webhooks/nango")
LONGEST_SENTENCE = 250


def sentence_of(answer: Any, status: int | None = None) -> str:
    """The sentence of a refusal in the contract's shape; fails for anything else."""
    seen = answer.status_code, answer.content[:300]
    assert 400 <= answer.status_code < 500, seen
    assert status is None or answer.status_code == status, seen
    assert answer["Content-Type"] == "application/json", seen
    body = answer.json()
    assert list(body) == ["error"], seen
    sentence = body["error"]
    assert sentence.isprintable(), seen
    assert 0 < len(sentence) <= LONGEST_SENTENCE, seen
    assert "Traceback" not in sentence
    assert "<" not in sentence.replace("<token>", ""), seen
    return str(sentence)
