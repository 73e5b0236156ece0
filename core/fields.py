"""Columns that are right by construction: sealed values that know their place, choices that the database checks."""

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute

from core.crypto import CannotOpen, Keyring, keyring
from core.errors import Unavailable

if TYPE_CHECKING:
    from django.db.models import BinaryField as Bytes
    from django.db.models import CharField as Characters
else:
    # In the stubs a field's class takes the types that it is set to and gives; Django's own takes none.
    Bytes, Characters = defaultdict(lambda: models.BinaryField), defaultdict(lambda: models.CharField)

logger = logging.getLogger(__name__)

Set_contra = TypeVar("Set_contra", contravariant=True)
Get_co = TypeVar("Get_co", covariant=True)


class KeyLost(Unavailable):
    """503: a sealed value can't be opened, because its key is not configured any more."""

    default = (
        "What is kept here can't be read any more. Tell an operator of this server that an encryption key is missing."
    )


class Sealed:
    """What a sealed column holds. `bytes` gives it as it is stored; nothing shows it by accident."""

    __slots__ = ("_data", "_lost", "_place")

    def __init__(self, data: bytes, *, place: str = "", lost: type[KeyLost] = KeyLost) -> None:
        self._data, self._place, self._lost = data, place, lost

    def __repr__(self) -> str:
        return "<sealed>"

    def __bytes__(self) -> bytes:
        return self._data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other._data == self._data

    def __hash__(self) -> int:
        return hash(self._data)

    def open(self, ring: Keyring | None = None) -> bytes:
        """Decrypt it, by this server's keys unless told otherwise. Raises KeyLost, or what its field has for that."""
        try:
            return (ring or keyring()).open(self._data, place=self._place)
        except CannotOpen as error:
            logger.error("%s can't be opened: see ENCRYPTION_KEYS", self._place)  # noqa: TRY400 - no need of a traceback
            raise self._lost from error


class _SealedAttribute(DeferredAttribute):
    """Gives the row's value, which opens there and nowhere else; seals the bytes that it is given."""

    field: "SealedField[Any, Any]"

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is None or value is None:
            return value
        return Sealed(bytes(value), place=self.field.place_in(instance), lost=self.field.lost)

    def __set__(self, instance: models.Model, value: bytes | Sealed | None) -> None:
        if isinstance(value, bytes):
            value = self.field.seal(instance, value)
        instance.__dict__[self.field.attname] = value


class SealedField(Bytes[Set_contra, Get_co]):
    """Bytes that are encrypted for this column of this row (`core.crypto`).

    A row's attribute is a Sealed, or None; `row.name = b"…"` seals for the row, which has to have its primary key.
    A query takes a Sealed only, so that nothing is stored in the clear. `lost` is raised where no key opens a value.
    A field that `has_key_elsewhere` is sealed by keys that this server doesn't keep, so no rotation touches it.
    """

    _pyi_private_set_type: bytes | Sealed
    _pyi_private_get_type: Sealed  # type: ignore[assignment]  # what the stubs read
    descriptor_class = _SealedAttribute
    # What nobody gave is None, not the seal of nothing.
    empty_strings_allowed = False

    def __init__(
        self, *args: Any, lost: type[KeyLost] = KeyLost, has_key_elsewhere: bool = False, **options: Any
    ) -> None:
        self.lost, self.has_key_elsewhere = lost, has_key_elsewhere
        super().__init__(*args, **options)

    def place_in(self, row: models.Model) -> str:
        """What the row's value is bound to."""
        if row.pk is None:
            raise TypeError(f"{self} has no place in a row without a primary key")
        return f"{self.model._meta.db_table}.{self.column}:{row.pk}"  # noqa: SLF001 - Django documents it

    def seal(self, row: models.Model, plain: bytes, *, ring: Keyring | None = None) -> Sealed:
        """Encrypt something for this column of the row."""
        if self.has_key_elsewhere and ring is None:
            raise TypeError(f"{self} is not sealed by this server's keys")
        place = self.place_in(row)
        return Sealed((ring or keyring()).seal(plain, place=place), place=place, lost=self.lost)

    def from_db_value(self, value: Any, *_: object) -> Sealed | None:
        """What the database holds."""
        return None if value is None else Sealed(bytes(value))

    def get_prep_value(self, value: Any) -> Any:
        """What is stored; plain bytes are refused."""
        if value is not None and not isinstance(value, Sealed):
            raise TypeError(f"{self} takes a Sealed, not {type(value).__name__}")
        return None if value is None else bytes(value)

    def to_python(self, value: Any) -> Any:
        """Refuses what comes from a form or a file."""
        if value is not None and not isinstance(value, Sealed):
            raise ValidationError("This can't be given.")
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """What serializers show."""
        return str(self.value_from_object(obj))


def seal(row: models.Model, name: str, plain: bytes, *, ring: Keyring | None = None) -> Sealed:
    """Encrypt something for the row's sealed field of this name, by another keyring than this server's if told."""
    field = row._meta.get_field(name)  # noqa: SLF001 - Django documents it
    if not isinstance(field, SealedField):
        raise TypeError(f"{field} is not sealed")
    return field.seal(row, plain, ring=ring)


class ChoiceField(Characters[Set_contra, Get_co]):
    """A word of a TextChoices; the database takes no other, and "" where the field may be `blank`."""

    # These two change the table, unlike a CharField's.
    non_db_attrs = tuple(name for name in models.CharField.non_db_attrs if name not in {"blank", "choices"})

    def words(self) -> list[str]:
        """All that may be in the column."""
        return [str(value) for value, _ in self.flatchoices] + ([""] if self.blank else [])

    def db_check(self, connection: BaseDatabaseWrapper) -> str:
        """The condition on the column."""
        words = ", ".join("'" + word.replace("'", "''") + "'" for word in self.words())
        return f"{connection.ops.quote_name(str(self.column))} IN ({words})"
