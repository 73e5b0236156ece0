"""Where connections come from: clients of outside services, and the kinds of credentials that those are given."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A user name and a password; either may be empty."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        """Nango's shape."""
        return {"type": "BASIC", "username": self.username, "password": self.password}


@dataclass(frozen=True, slots=True)
class APIKeyCredentials:
    """An API key."""

    api_key: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        """Nango's shape."""
        return {"type": "API_KEY", "apiKey": self.api_key}


Credentials = BasicCredentials | APIKeyCredentials
