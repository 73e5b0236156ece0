"""The providers that the stand-in knows, and the integrations it starts with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.nango import clock

_STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Provider:
    """An entry of Nango's catalogue of third-party services."""

    name: str
    display_name: str
    auth_mode: str

    def as_json(self) -> dict[str, object]:
        """Give the entry as `GET /providers/{provider}` does."""
        return {
            "name": self.name,
            "display_name": self.display_name,
            "auth_mode": self.auth_mode,
            "categories": ["other"],
            "docs": f"https://nango.dev/docs/integrations/all/{self.name}",
            "credentials": _FIELDS.get(self.auth_mode, {}),
            "connection_config": {},
        }


@dataclass
class Integration:
    """A provider set up in the environment, addressed by its `unique_key`."""

    unique_key: str
    provider: Provider
    display_name: str
    created_at: datetime = _STARTED
    updated_at: datetime = field(default=_STARTED)

    def as_json(self, *, origin: str) -> dict[str, object]:
        """Give the integration as `GET /integrations` does."""
        return {
            "unique_key": self.unique_key,
            "provider": self.provider.name,
            "display_name": self.display_name,
            "logo": f"{origin}/nango/images/template-logos/{self.provider.name}.svg",
            "forward_webhooks": True,
            "created_at": clock.zulu(self.created_at),
            "updated_at": clock.zulu(self.updated_at),
        }


_FIELDS: dict[str, dict[str, object]] = {
    "API_KEY": {"apiKey": {"type": "string", "title": "API Key", "secret": True}},
    "BASIC": {
        "username": {"type": "string", "title": "Username", "secret": False},
        "password": {"type": "string", "title": "Password", "secret": True},
    },
}

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("salesforce", "Salesforce", "OAUTH2"),
        Provider("hubspot", "HubSpot", "OAUTH2"),
        Provider("slack", "Slack", "OAUTH2"),
        Provider("linear", "Linear", "OAUTH2"),
        Provider("github", "GitHub", "OAUTH2"),
        Provider("private-api-generic", "Private API (API key)", "API_KEY"),
        Provider("private-api-basic", "Private API (basic auth)", "BASIC"),
        Provider("unauthenticated", "Unauthenticated", "NONE"),
    )
}

_PRESETS = (
    ("salesforce", "salesforce", "Salesforce"),
    ("hubspot", "hubspot", "HubSpot"),
    ("slack", "slack", "Slack"),
    ("linear", "linear", "Linear"),
    ("github", "github", "GitHub"),
    ("acme", "private-api-generic", "Acme"),
    ("postgres", "private-api-basic", "Postgres"),
)


def preset_integrations() -> dict[str, Integration]:
    """Make the integrations of a fresh sandbox."""
    return {
        key: Integration(unique_key=key, provider=PROVIDERS[provider], display_name=name)
        for key, provider, name in _PRESETS
    }
