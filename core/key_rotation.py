"""Sealing anew with the newest key, so that older keys can be dropped from ENCRYPTION_KEYS."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.apps import apps
from django.db import models

from core.crypto import keyring
from core.database import outlast_restarts
from core.fields import KeyLost, SealedField

logger = logging.getLogger(__name__)

_AT_ONCE = 500


@dataclass
class Counts:
    """What was done, counted by sealed values. What is `unreadable` no configured key opens."""

    resealed: int = 0
    current: int = 0
    unreadable: int = 0


def sealed_fields() -> "list[SealedField[Any, Any]]":
    """Every column of every model that this server's keys seal."""
    fields = (field for model in apps.get_models() for field in model._meta.local_concrete_fields)  # noqa: SLF001
    return [field for field in fields if isinstance(field, SealedField) and not field.has_key_elsewhere]


def reseal() -> Counts:
    """Seal whatever an older key has sealed with the newest one. Can be repeated, also while people write.

    What somebody writes meanwhile is left as it is: a server that knows the newest key has sealed it with that.
    """
    counts = Counts()
    for field in sealed_fields():
        for row in _rows(field):
            outlast_restarts(partial(_reseal, field, row, counts))
    return counts


def _rows(field: "SealedField[Any, Any]") -> Iterator[Any]:
    """The rows that have something in the field, read some hundred at a time."""
    sealed = field.model._base_manager.exclude(**{field.name: None}).only("pk", field.name).order_by("pk")  # noqa: SLF001
    piece = sealed[:_AT_ONCE]
    while rows := outlast_restarts(partial(_read, piece)):
        yield from rows
        piece = sealed.filter(pk__gt=rows[-1].pk)[:_AT_ONCE]


def _read(rows: models.QuerySet[Any]) -> list[Any]:
    return list(rows.all())


def _reseal(field: "SealedField[Any, Any]", row: Any, counts: Counts) -> None:
    before = getattr(row, field.name)
    if keyring().is_newest(bytes(before)):
        counts.current += 1
        return
    try:
        after = field.seal(row, before.open())
    except KeyLost:
        counts.unreadable += 1
        return
    unchanged = field.model._base_manager.filter(pk=row.pk, **{field.name: before})  # noqa: SLF001
    counts.resealed += unchanged.update(**{field.name: after})
