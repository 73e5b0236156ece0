"""What a call to Fly may end in, beside an answer, ServiceFailed and ServiceTimeout."""

from enum import StrEnum

from core.errors import Conflict, NotFound, Unavailable, UpstreamFailed


class FlyNotConfigured(Unavailable):
    """503: this server has no token for Fly."""

    default = "This server can't run apps: its operator must set FLY_API_TOKEN."


class FlyRefusesToken(Unavailable):
    """503: Fly answered 401 or 403. Of an app made a moment ago it may also mean that it isn't visible yet."""

    default = "Fly does not accept this server's token: its operator must check FLY_API_TOKEN and FLY_ORG."


class FlyBusy(Unavailable):
    """503: Fly's rate limit for this action is used up; `retry_after` says for how long."""

    default = "Fly takes no more requests for the moment. Please try again shortly."


class FlyFailed(UpstreamFailed):
    """502: Fly answered an error of its own, or something that can't be read. A change may have been made."""

    default = "Fly failed. Please try again in a moment."


class FlyRejected(FlyFailed):
    """502: Fly does not take the request as it is (400 or 422), and has changed nothing."""

    default = "Fly refuses this, and would do so again. Tell an operator: this server's log has Fly's reason."
    is_permanent = True

    def __init__(self, *, reason: str = "") -> None:
        # For operators alone: what Fly says of itself is no caller's business.
        self.reason = reason
        super().__init__()


class FlyWantsPayment(Unavailable):
    """503: Fly does nothing more for the organization until it is paid, or its account is in order."""

    default = "This server's account at Fly has to be settled before anything more can run. Tell its operator."
    is_permanent = True

    def __init__(self, *, reason: str = "") -> None:
        self.reason = reason
        super().__init__()


class UnknownApp(NotFound):
    """404: Fly has no such app, or it isn't visible yet."""

    default = "Fly has no such app."


class NotOurs(UnknownApp):
    """404: there is an app of this name, and it belongs to somebody else."""


class UnknownMachine(NotFound):
    """404: the app has no such machine, or it isn't visible yet."""

    default = "Fly has no such machine."


class UnknownVolume(NotFound):
    """404: the app has no such volume, or it isn't visible yet."""

    default = "Fly has no such volume."


class NameTaken(Conflict):
    """409: an app of this name exists already, whosever it is."""

    default = "An app of this name exists already at Fly. Please try again."


class InsufficientCapacity(Unavailable):
    """503: there is no room for the machine or the volume there; another region may have it."""

    default = "Fly has no room for this right now. Please try again in a few minutes."


class QuotaExceeded(Unavailable):
    """503: the organization at Fly may have no more of this."""

    default = "This server's quota at Fly is used up. Tell its operator."
    is_permanent = True

    def __init__(self, *, reason: str = "") -> None:
        self.reason = reason
        super().__init__()


class LeaseHeld(Unavailable):
    """503: somebody else is changing this machine."""

    default = "The machine is being changed already. Please try again in a moment."


class Precondition(StrEnum):
    """What Fly's 409 and 412 can be about, beside room and leases."""

    STATE = "state"
    REPLACING = "replacing"
    STILL_ACTIVE = "still active"
    VOLUME_BOUND = "volume bound"
    SECRETS_VERSION = "secrets version"
    SNAPSHOT = "snapshot"
    NAME = "name"
    VERSION = "version"
    OTHER = "other"


class PreconditionFailed(Unavailable):
    """503: what it is about is not in the state for this; `kind` says which. Most pass within a minute."""

    default = "Fly can't do this in the current state. Please try again in a moment."

    def __init__(self, *, kind: Precondition) -> None:
        self.kind = kind
        super().__init__()
