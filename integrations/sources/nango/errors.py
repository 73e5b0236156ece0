"""What a call to Nango may end in, beside an answer, ServiceFailed and ServiceTimeout."""

from core.errors import Conflict, Malformed, NotFound, Unavailable, UpstreamFailed


class NangoNotConfigured(Unavailable):
    """503: this server has no key for Nango."""

    default = "This server has no access to Nango: its operator must set NANGO_SECRET_KEY."


class NangoRefusesKey(Unavailable):
    """503: Nango answered 401 or 403, so our key is wrong or lacks a scope."""

    default = "Nango does not accept this server's key: its operator must check NANGO_SECRET_KEY."


class NangoLacksScope(NangoRefusesKey):
    """503: our key is good, but not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This server's key for Nango lacks the scope {scope}: its operator must add it in Nango.")


class NangoBusy(Unavailable):
    """503: Nango's rate limit is used up; `retry_after` says for how long."""

    default = "Nango takes no more requests for the moment. Please try again shortly."


class NangoFailed(UpstreamFailed):
    """502: Nango answered an error of its own, or something that can't be read."""

    default = "Nango failed. Please try again in a moment."


class UnknownIntegration(NotFound):
    """404: Nango has no such integration."""

    default = "Integration not found"


class UnknownConnection(NotFound):
    """404: Nango has no such connection, or it is not the caller's."""

    default = "Connection not found"


class CredentialsRejected(Conflict):
    """409: the provider no longer accepts what is stored, and refreshing it failed.

    `owner` is the id in the connection's tags, None when Nango did not send the connection along.
    """

    def __init__(self, *, owner: str | None = None) -> None:
        self.owner = owner
        super().__init__()


class ImportRefused(Malformed):
    """400: Nango does not take the connection as given."""

    default = "The integration does not take these credentials or this connection_config."


class CredentialsNotAccepted(ImportRefused):
    """400: the provider did not accept the credentials when Nango tried them."""

    default = "The service did not accept these credentials. Check them and try again."


class NoMoreConnections(Unavailable):
    """503: the plan at Nango allows no further connection."""

    default = "No more connections can be made: this server's plan at Nango is used up. Tell its operator."
