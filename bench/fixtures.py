"""What is measured with: people, their tokens, logins, connections and machines. Nothing here is secret."""

import hashlib

PERSON = "00000000-0000-4000-8000-00000000000a"
ORGANIZATION = "00000000-0000-4000-8000-00000000000b"
APP = "bench"
LOG_CHARACTERS = 5_000_000
FEW, MANY = "ten", "ten-thousand"
OWN_CONNECTIONS = 5
TOKENS = [hashlib.sha256(f"bench token {number}".encode()).hexdigest() for number in range(50)]
LOGINS = [
    (f"{number:08x}", hashlib.sha256(f"bench secret {number}".encode()).hexdigest()[:32]) for number in range(4000)
]
# How many machines people have, each number's person with tokens of their own.
MACHINES = (1, 10, 50)
FLY_ORGANIZATION = "bench"
MACHINE = "studio-0"
MACHINE_TOKENS = {
    count: [hashlib.sha256(f"bench token {number} of {count}".encode()).hexdigest() for number in range(50)]
    for count in MACHINES
}
INTEGRATIONS = [
    {
        "unique_key": key,
        "provider": "github",
        "display_name": key.title(),
        "logo": "https://logos.example.com/github.svg",
        "forward_webhooks": True,
        "created_at": "2026-01-02T03:04:05.000Z",
        "updated_at": "2026-01-02T03:04:05.000Z",
    }
    for key in (FEW, MANY, "salesforce", "hubspot", "slack", "linear", "github")
]


def connection_id(key: str, number: int) -> str:
    return f"{key}-{number}"


def connection(key: str, number: int) -> dict[str, object]:
    """An entry of Nango's list of connections."""
    return {
        "id": number,
        "connection_id": connection_id(key, number),
        "provider_config_key": key,
        "provider": "github",
        "errors": [],
        "end_user": None,
        "tags": {"end_user_id": PERSON},
        "metadata": {},
        "created": "2026-01-02T03:04:05.481+00:00",
    }


def fly_names(count: int) -> list[str]:
    """The names at Fly of the machines of whoever has so many."""
    return [f"crayon-dev-{count * 1000 + number:08x}" for number in range(count)]


def machine_at_fly(name: str) -> dict[str, object]:
    """An entry of Fly's list of the organization's machines."""
    return {
        "id": name[-8:],
        "app_name": name,
        "state": "started",
        "region": "iad",
        "updated_at": "2026-01-02T03:04:05Z",
    }


def credential(identifier: str) -> dict[str, object]:
    """Nango's answer with a credential, about 1.9 KB, as OAuth answers are."""
    key = identifier.rpartition("-")[0]
    return {
        **connection(key, 0),
        "connection_id": identifier,
        "created_at": "2026-01-02T03:04:05.481+00:00",
        "updated_at": "2026-01-02T03:04:05.481+00:00",
        "last_fetched_at": "2026-01-02T03:04:05.481+00:00",
        "connection_config": {"instance_url": "https://team.example.com"},
        "webhook_url_override": None,
        "credentials": {
            "type": "OAUTH2",
            "access_token": "not-a-secret-" + "a" * 400,
            "expires_at": "2099-01-01T00:00:00.000Z",
            "raw": {"access_token": "not-a-secret-" + "a" * 400, "scope": "repo user " * 40, "token_type": "bearer"},
        },
    }
