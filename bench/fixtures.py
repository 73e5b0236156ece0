"""What is measured with: people, their tokens, logins, connections and machines. Nothing here is secret."""

import hashlib

from accounts import key_format

PERSON = "00000000-0000-4000-8000-00000000000a"
APP, MACHINE, FLY_ORGANIZATION = "bench", "studio-0", "bench"
LOG_CHARACTERS = 5_000_000
FEW, MANY = "ten", "ten-thousand"  # integrations, by how many connections Nango has
OWN_CONNECTIONS = 5
_TIME = "2026-01-02T03:04:05.481+00:00"


def _digests(name: str, count: int) -> list[str]:
    return [hashlib.sha256(f"bench {name} {number}".encode()).hexdigest() for number in range(count)]


LOGINS = [(f"{number:08x}", secret[:32]) for number, secret in enumerate(_digests("secret", 4000))]
# Tokens of whoever has so many machines; all else belongs to the one who has none.
TOKENS = {machines: _digests(f"token of {machines}", 50) for machines in (0, 1, 10, 50)}
# Beside the numbers of machines: the API keys of whoever has none.
KEYS = -1


def _key(text: str) -> str:
    return text + key_format.checksum(text)


HOLDERS = {**TOKENS, KEYS: [_key(key_format.PERSONAL + text[:43]) for text in _digests("key", 50)]}
INTEGRATIONS = [
    {
        "unique_key": key,
        "provider": "github",
        "display_name": key.title(),
        "logo": "https://logos.example.com/github.svg",
        "forward_webhooks": True,
        "created_at": _TIME,
        "updated_at": _TIME,
    }
    for key in (FEW, MANY, "salesforce", "hubspot", "slack", "linear", "github")
]


def connection(key: str, number: int) -> dict[str, object]:
    """An entry of Nango's list of connections."""
    return {
        "id": number,
        "connection_id": f"{key}-{number}",
        "provider_config_key": key,
        "provider": "github",
        "errors": [],
        "end_user": None,
        "tags": {"end_user_id": PERSON},
        "metadata": {},
        "created": _TIME,
    }


def credential(identifier: str) -> dict[str, object]:
    """Nango's answer with a credential, about 1.9 KB, as OAuth answers are."""
    return {
        **connection(identifier.rpartition("-")[0], 0),
        "connection_id": identifier,
        "created_at": _TIME,
        "updated_at": _TIME,
        "last_fetched_at": _TIME,
        "connection_config": {"instance_url": "https://team.example.com"},
        "webhook_url_override": None,
        "credentials": {
            "type": "OAUTH2",
            "access_token": "not-a-secret-" + "a" * 400,
            "expires_at": "2099-01-01T00:00:00.000Z",
            "raw": {"access_token": "not-a-secret-" + "a" * 400, "scope": "repo user " * 40, "token_type": "bearer"},
        },
    }


def fly_names(count: int) -> list[str]:
    """The names at Fly of the machines of whoever has so many."""
    return [f"crayon-dev-{count * 1000 + number:08x}" for number in range(count)]


def machine_at_fly(name: str) -> dict[str, object]:
    """An entry of Fly's list of the organization's machines."""
    return {"id": name[-8:], "app_name": name, "state": "started", "region": "iad", "updated_at": _TIME}
