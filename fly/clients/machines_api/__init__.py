"""Fly (https://docs.machines.dev): where apps and machines run."""

from fly.clients.machines_api.apps import AddressKind
from fly.clients.machines_api.client import Fly
from fly.clients.machines_api.errors import (
    FlyBusy,
    FlyFailed,
    FlyNotConfigured,
    FlyRefusesToken,
    FlyRejected,
    FlyWantsPayment,
    InsufficientCapacity,
    LeaseHeld,
    NameTaken,
    NotOurs,
    Precondition,
    PreconditionFailed,
    QuotaExceeded,
    UnknownApp,
    UnknownMachine,
    UnknownVolume,
)
from fly.clients.machines_api.types import Address, App, LogEntry, Machine, MachineOfOrganization, MachinePage, Volume

__all__ = [
    "Address",
    "AddressKind",
    "App",
    "Fly",
    "FlyBusy",
    "FlyFailed",
    "FlyNotConfigured",
    "FlyRefusesToken",
    "FlyRejected",
    "FlyWantsPayment",
    "InsufficientCapacity",
    "LeaseHeld",
    "LogEntry",
    "Machine",
    "MachineOfOrganization",
    "MachinePage",
    "NameTaken",
    "NotOurs",
    "Precondition",
    "PreconditionFailed",
    "QuotaExceeded",
    "UnknownApp",
    "UnknownMachine",
    "UnknownVolume",
    "Volume",
]
