"""Sealing anew with the newest key, so that older keys can be dropped from ENCRYPTION_KEYS."""

import uuid
from dataclasses import dataclass
from functools import partial

from clouddev.models import Machine
from clouddev.models.machines import KeyLost
from core.crypto import keyring
from core.database import outlast_restarts

_COLUMNS = ("sealed_ssh_key", "sealed_environment")


@dataclass
class Counts:
    """What was done, counted by sealed values. What is `unreadable` no configured key opens."""

    resealed: int = 0
    current: int = 0
    unreadable: int = 0


def reseal() -> Counts:
    """Seal whatever an older key has sealed with the newest one. Can be repeated, also while machines are made.

    What somebody writes meanwhile is left as it is: a server that knows the newest key has sealed it with that.
    """
    counts = Counts()
    for column in _COLUMNS:
        sealed = Machine.objects.exclude(**{column: None}).order_by("pk").values_list("pk", flat=True)
        for machine_id in outlast_restarts(lambda sealed=sealed: list(sealed)):  # type: ignore[misc]
            outlast_restarts(partial(_reseal, machine_id, column, counts))
    return counts


def _reseal(machine_id: uuid.UUID, column: str, counts: Counts) -> None:
    machine = Machine.objects.only("pk", column).filter(pk=machine_id).exclude(**{column: None}).first()
    if machine is None:
        return
    before = bytes(getattr(machine, column))
    if keyring().is_newest(before):
        counts.current += 1
        return
    try:
        plain = machine.unseal(column)
    except KeyLost:
        counts.unreadable += 1
        return
    unchanged = Machine.objects.filter(pk=machine.pk, **{column: before})
    counts.resealed += unchanged.update(**{column: machine.seal(column, plain)})
