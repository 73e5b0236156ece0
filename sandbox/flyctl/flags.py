"""Reads the command line as cobra does."""

from dataclasses import dataclass, field

from sandbox.flyctl.console import Failed

_TRUTHS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SHORT = {"a": "app", "c": "config", "i": "image", "y": "yes", "e": "env", "t": "access-token"}
_WITH_VALUE = {"app", "config", "image", "image-label", "strategy", "wait-timeout", "dockerfile", "access-token"}
_SWITCHES = {
    "remote-only": False,
    "ha": True,
    "wg": True,
    "dns-checks": True,
    "smoke-checks": True,
    "yes": False,
    "https-failover": True,
    "local-only": False,
    "detach": False,
}
# May stand alone or with `=auto`, `=true`, `=false`.
_CHOICES = {"depot": "auto", "builder-pool": "auto"}


@dataclass(slots=True)
class Flags:
    """Values, switches and what is left: the folder to deploy."""

    values: dict[str, str] = field(default_factory=lambda: dict(_CHOICES))
    switches: dict[str, bool] = field(default_factory=lambda: dict(_SWITCHES))
    rest: list[str] = field(default_factory=list)


def read_flags(arguments: list[str]) -> Flags:
    """Read what comes after `deploy`. Raises Failed in cobra's words."""
    flags = Flags()
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument.startswith("--"):
            _read(flags, argument, argument[2:], left)
        elif argument.startswith("-") and len(argument) > 1:
            _read(flags, argument, _long_name(argument), left)
        else:
            flags.rest.append(argument)
    return flags


def _long_name(argument: str) -> str:
    name = _SHORT.get(argument[1])
    if name is None:
        raise Failed(f"unknown shorthand flag: '{argument[1]}' in {argument}")
    return name + (f"={argument[2:].removeprefix('=')}" if argument[2:] else "")


def _read(flags: Flags, argument: str, text: str, left: list[str]) -> None:
    name, given, value = text.partition("=")
    if name in _SWITCHES:
        flags.switches[name] = _truth(name, value) if given else True
    elif name in _CHOICES:
        flags.values[name] = _choice(name, value) if given and value else "true"
    elif name not in _WITH_VALUE:
        raise Failed(f"unknown flag: --{name}")
    elif given:
        flags.values[name] = value
    elif left:
        flags.values[name] = left.pop(0)
    else:
        raise Failed(f"flag needs an argument: {argument}")


def _truth(name: str, value: str) -> bool:
    if value.lower() not in _TRUTHS:
        raise Failed(
            f'invalid argument "{value}" for "--{name}" flag: strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    return _TRUTHS[value.lower()]


def _choice(name: str, value: str) -> str:
    if value not in {"auto", "true", "false"}:
        raise Failed(f"--{name} must be one of auto, true, false")
    return value
