"""Nango (https://nango.dev/docs/reference/api): connections to third-party accounts."""

from integrations.sources.nango.client import Nango
from integrations.sources.nango.errors import (
    CredentialsNotAccepted,
    CredentialsRejected,
    ImportRefused,
    NangoBusy,
    NangoFailed,
    NangoLacksScope,
    NangoNotConfigured,
    NangoRefusesKey,
    NoMoreConnections,
    UnknownConnection,
    UnknownIntegration,
)
from integrations.sources.nango.types import (
    OWNER_TAG,
    Connection,
    ConnectionWithCredentials,
    ConnectSession,
    Integration,
    Strange,
    Trouble,
)

__all__ = [
    "OWNER_TAG",
    "ConnectSession",
    "Connection",
    "ConnectionWithCredentials",
    "CredentialsNotAccepted",
    "CredentialsRejected",
    "ImportRefused",
    "Integration",
    "Nango",
    "NangoBusy",
    "NangoFailed",
    "NangoLacksScope",
    "NangoNotConfigured",
    "NangoRefusesKey",
    "NoMoreConnections",
    "Strange",
    "Trouble",
    "UnknownConnection",
    "UnknownIntegration",
]
