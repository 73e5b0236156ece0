"""Fly (https://docs.machines.dev): where apps and machines run."""

from deployments.clients.fly.apps import AddressKind
from deployments.clients.fly.client import Fly
from deployments.clients.fly.errors import (
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
from deployments.clients.fly.machine_shapes import (
    Check,
    Exit,
    Machine,
    MachineOfOrganization,
    MachinePage,
)
from deployments.clients.fly.shapes import Address, App, LogEntry, LogPage, Region, Volume

__all__ = [
    "Address",
    "AddressKind",
    "App",
    "Check",
    "Exit",
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
    "LogPage",
    "Machine",
    "MachineOfOrganization",
    "MachinePage",
    "NameTaken",
    "NotOurs",
    "Precondition",
    "PreconditionFailed",
    "QuotaExceeded",
    "Region",
    "UnknownApp",
    "UnknownMachine",
    "UnknownVolume",
    "Volume",
]
