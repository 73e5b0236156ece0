"""What is said to somebody with a token or key of another issuer."""

from core.errors import Forbidden, Unauthenticated, Unavailable

_SECONDS = 10


class InvalidForeignToken(Unauthenticated):
    """401: the token is expired, forged, for somebody else, or lacks a claim; the reasons are not told apart."""

    default = "This token is not valid or has expired. Sign in again where you got it."


class InvalidForeignKey(Unauthenticated):
    """401: the issuer says that the key is not valid, or says nothing that can be read."""

    default = "Invalid credentials: this API key is not valid or has expired."


class IssuerAway(Unavailable):
    """503: whether a token or key is good can't be told, since its issuer can't be asked."""

    default = "Where this token or key comes from can't be asked right now. Please try again in a moment."

    def __init__(self) -> None:
        super().__init__(retry_after=_SECONDS)


class UnknownOrganization(Forbidden):
    """403: a valid token or key, of an organization that isn't here, or not the issuer's here."""

    code = "unknown_organization"

    def __init__(self, slug: str) -> None:
        super().__init__(f"Unknown organization: {slug}")
