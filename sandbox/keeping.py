"""What the stand-ins know, in a file: the next process on it goes on where this one ended, however it ended.

Kept are GitHub, Nango and Fly. Settings, faults and the journal belong to the process.
"""

import json
import os

# The file is the developer's own, in a folder of theirs alone, like the code that reads it.
import pickle
import tempfile
from dataclasses import fields, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from sandbox.fly.state import Fly
from sandbox.github.state import GitHub
from sandbox.nango.state import Nango
from sandbox.world import World

_FORMAT = "crayon sandbox, 1"
_ROOTS = (GitHub, Nango, Fly)
_BEGUN_ANEW = (
    "What the sandbox knew can't be read by this version; it begins anew, and the file is now {aside}. Apps, machines "
    "and connections that the server still knows are not there any more. To begin both anew, stop, delete {folder}, "
    "and start again."
)
Shapes = dict[str, list[str]]


class Keeper:
    """Keeps a world in a file."""

    def __init__(self, path: Path, world: World) -> None:
        """Take over what is in the file, if there is one."""
        self.path, self.world = path, world

    def load(self) -> str:
        """Go on with what was kept; gives a sentence when that can't be read, and was put aside."""
        for half_written in self.path.parent.glob(f".{self.path.name}.*"):
            # By a process that was killed meanwhile: the file has what was there before.
            half_written.unlink()
        try:
            kept = _read(self.path.read_bytes())
        except FileNotFoundError:
            return ""
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it can't be gone on with
            aside = self.path.with_name(f"{self.path.name}.unreadable")
            self.path.replace(aside)
            return _BEGUN_ANEW.format(aside=aside, folder=self.path.parent)
        self.world.github, self.world.nango, self.world.fly = kept
        return ""

    def save(self) -> None:
        """Write all of it, whole or not at all. A killed process loses nothing that was answered before."""
        text = _written((self.world.github, self.world.nango, self.world.fly))
        # mkstemp makes a file that only its owner can read.
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


class _Writer(pickle.Pickler):
    """Notes which fields the classes have that it writes, since another version may have others."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.shapes: Shapes = {}

    def reducer_override(self, written: object) -> Any:
        if is_dataclass(written) and not isinstance(written, type):
            kind = type(written)
            self.shapes[f"{kind.__module__}:{kind.__qualname__}"] = _fields_of(kind)
        return NotImplemented


def _written(kept: object) -> bytes:
    body = BytesIO()
    writer = _Writer(body)
    writer.dump(kept)
    head = json.dumps({"format": _FORMAT, "shapes": writer.shapes})
    return head.encode() + b"\n" + body.getvalue()


def _read(text: bytes) -> tuple[GitHub, Nango, Fly]:
    """Raises whatever a damaged file, or one of another version, makes of it."""
    head, _, body = text.partition(b"\n")
    told = json.loads(head)
    kept = pickle.loads(body)
    if told["format"] != _FORMAT or told["shapes"] != _shapes_of(told["shapes"]):
        message = "another version wrote it"
        raise ValueError(message)
    if tuple(map(type, kept)) != _ROOTS:
        message = "it is something else"
        raise TypeError(message)
    github, nango, fly = kept
    return github, nango, fly


def _shapes_of(names: Shapes) -> Shapes:
    """The same classes, as this version has them."""
    return {name: _fields_of(_class_called(name)) for name in names}


def _class_called(name: str) -> type:
    module, _, qualname = name.partition(":")
    # Loading has imported it.
    found = getattr(__import__(module, fromlist=["_"]), qualname)
    if not isinstance(found, type):
        raise TypeError(name)
    return found


def _fields_of(kind: type) -> list[str]:
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []
