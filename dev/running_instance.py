"""What a running `make dev` runs on, for the commands that are started beside it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.default_env import SERVICES, is_set
from dev.errors import DevelopmentError
from dev.options import Options, state_folder
from dev.state import FolderLock, write_private

_FILE = "running.json"
# What was given to `make dev` and leads elsewhere than its presets. Its own database is found by its folder.
_GIVEN = ("PUBLIC_URL", "DATABASE_URL", "DATABASE_DATA_URL", "REDIS_URL")
_OF_SERVICES = tuple(name for names in SERVICES.values() for name in names)


def lock_of(state: Path) -> FolderLock:
    """The lock that `make dev` holds on its state folder while it runs."""
    return FolderLock(state / "dev.lock")


@contextmanager
def noted(options: Options, given: Mapping[str, str]) -> Iterator[None]:
    """Let others read what this `make dev` runs on, for as long as it does; `given` is its own environment."""
    path = options.state / _FILE
    names = [form for name in (*_GIVEN, *_OF_SERVICES) for form in (name, f"{name}_FILE") if given.get(form)]
    ports = {"PORT": str(options.port), "SANDBOX_PORT": str(options.sandbox_port)}
    write_private(path, json.dumps(ports | {name: given[name] for name in names}, indent=1) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def with_noted(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment together with what the `make dev` of its state folder runs on, if one does.

    What is given wins, but for another Nango, GitHub or Fly than `make dev` has, of which the database knows:
    raises DevelopmentError then, and for a damaged file.
    """
    state = state_folder(given)
    if not lock_of(state).is_held():
        return dict(given)
    here = _read(state / _FILE)
    if is_set("DATABASE_URL", given):
        # Another database knows nothing of what is there.
        here = {name: value for name, value in here.items() if name.removesuffix("_FILE") not in _OF_SERVICES}
    elif here:
        _require_same_services(given, here)
    missing = {name: value for name, value in here.items() if not is_set(name.removesuffix("_FILE"), given)}
    return {**given, **missing}


def _require_same_services(given: Mapping[str, str], here: Mapping[str, str]) -> None:
    for service, names in SERVICES.items():
        forms = [form for name in names for form in (name, f"{name}_FILE")]
        others = [form for form in forms if given.get(form, here.get(form, "")) != here.get(form, "")]
        if others:
            message = (
                f"The make dev of this folder runs on another {service} than {', '.join(others)} says, and its "
                f"database tells of what is there. Unset {', '.join(others)}, or stop make dev first."
            )
            raise DevelopmentError(message)


def _read(path: Path) -> dict[str, str]:
    """What was noted; nothing where `make dev` hasn't come that far."""
    try:
        return {str(name): str(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        message = f"{path} is damaged. Start make dev anew."
        raise DevelopmentError(message) from error
