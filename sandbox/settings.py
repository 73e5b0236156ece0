"""What tests may turn while the sandbox runs."""

from dataclasses import dataclass, field

from sandbox.nango.state import SIGNING_KEY


@dataclass
class Settings:
    """How the stand-ins behave. A reset brings back what the process was started with.

    `rate_limit_per_minute` is None for no limit. `scopes` are those of Nango's API key, with `*`
    as a wild card. Nango refuses `refused_credentials` as if the provider had refused them.
    While its database is down (`nango_database_down`) Nango finds nothing wrong but the header of each call.
    `webhook_headers` are what a proxy before the receiver would add.
    GitHub's codes live `github_code_seconds`, and `redirect_hosts` may be redirected to beside
    loopback.
    """

    webhook_url: str = ""
    webhook_headers: dict[str, str] = field(default_factory=dict)
    webhooks: bool = True
    webhook_retry_seconds: float = 3.0
    signing_key: str = SIGNING_KEY
    rate_limit_per_minute: int | None = 200
    refresh_backoff_seconds: float = 30.0
    scopes: list[str] = field(default_factory=lambda: ["environment:*"])
    refused_credentials: list[str] = field(default_factory=list)
    nango_database_down: bool = False
    github_code_seconds: float = 600.0
    redirect_hosts: list[str] = field(default_factory=list)
