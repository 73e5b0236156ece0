"""The environment variables that come with a push. Pure.

All of them become secrets of the app at Fly. Those that a browser's bundle shows to everybody anyway, by the
convention of their names, are also needed while it is built. No error names a value.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.errors import Malformed

MOST_VARIABLES = 300
LONGEST_NAME = 200
# Linux passes at most 128 KB in one variable, its name included (MAX_ARG_STRLEN in execve(2)).
MOST_VALUE_BYTES = 64 * 1024
MOST_BYTES = 512 * 1024
_MOST_SHOWN = 5
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What our fly.toml says, and what Fly tells each machine (https://fly.io/docs/machines/runtime-environment/).
_SET_FOR_THE_APP = frozenset(
    {
        "PORT",
        "CRAYON_COMMIT",
        "PRIMARY_REGION",
        "FLY_ALLOC_ID",
        "FLY_APP_NAME",
        "FLY_IMAGE_REF",
        "FLY_MACHINE_ID",
        "FLY_MACHINE_VERSION",
        "FLY_PRIVATE_IP",
        "FLY_PROCESS_GROUP",
        "FLY_PUBLIC_IP",
        "FLY_REGION",
        "FLY_VM_MEMORY_MB",
    }
)
# What the loader and the shells of a machine's start, which are root's, would obey (ld.so(8), bash(1)), and what would
# have an interpreter run something before anything of its own.
_AT_THE_START = frozenset(
    {
        "BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "GCONV_PATH", "GLIBC_TUNABLES", "GLOBIGNORE", "HOSTALIASES",
        "IFS", "LOCALDOMAIN", "LOCPATH", "MALLOC_TRACE", "NLSPATH", "PATH", "PERL5DB", "PERL5LIB", "PERL5OPT",
        "PERLLIB", "PROMPT_COMMAND", "PS4", "PYTHONHOME", "PYTHONINSPECT", "PYTHONPATH", "PYTHONSTARTUP",
        "RES_OPTIONS", "RUBYLIB", "RUBYOPT", "SHELLOPTS", "TMPDIR", "TZDIR",
    }
)  # fmt: skip
_AT_THE_START_PREFIXES = ("LD_", "BASH_FUNC_", "DYLD_")
_BARE = re.compile(r"[^\s'\"`#\r\n][^#\r\n]*(?<!\s)\Z")


class InvalidEnvironment(Malformed):
    """400: `envVars` is not an object of names and texts, or too much."""

    default = "envVars: This must be an object of names and texts."


@dataclass(frozen=True, slots=True)
class Environment:
    """What to do with the variables of a push: `secrets` are for Fly, `build_time` for the build.

    Left out of both are names whose value is the platform's. `port` is what PORT says, or "": the app is told it by
    our fly.toml, so that it is looked for where it listens.
    """

    secrets: Mapping[str, str] = field(repr=False)
    build_time: Mapping[str, str] = field(repr=False)
    port: str = field(default="", repr=False)


def read(sent: object) -> dict[str, str]:
    """`envVars` as it came in JSON; {} for null. Raises InvalidEnvironment, naming the variable.

    Left out is what `odd_names` tells: a line of a `.env` file that no program could read stops no deployment.
    """
    if sent is None:
        return {}
    if not isinstance(sent, Mapping):
        raise InvalidEnvironment
    if len(sent) > MOST_VARIABLES:
        raise InvalidEnvironment(f"envVars: There are more than {MOST_VARIABLES} variables.")
    variables = {name: _value(name, value) for name, value in sent.items() if _is_name(name)}
    if sum(len(name) + len(value.encode()) for name, value in variables.items()) > MOST_BYTES:
        raise InvalidEnvironment(f"envVars: The variables are larger than {MOST_BYTES >> 10} KB together.")
    return variables


def odd_names(sent: object) -> str:
    """A sentence about the names that no variable can have, which `read` leaves out; "" where there are none."""
    odd = [_shown(name) for name in sent if not _is_name(name)] if isinstance(sent, Mapping) else []
    if not odd:
        return ""
    more = f" and {len(odd) - _MOST_SHOWN} more" if len(odd) > _MOST_SHOWN else ""
    return (
        f"Left out of the environment: {', '.join(odd[:_MOST_SHOWN])}{more}. A variable's name has letters, digits and "
        f"underscores, no digit first, {LONGEST_NAME} at most."
    )


def without_start(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that a machine may have: those that reach nothing but the person's own programs."""
    return {name: value for name, value in variables.items() if not _is_of_the_start(name)}


def names_of_the_start(sent: object) -> str:
    """A sentence about the names that `without_start` leaves out; "" where there are none."""
    left_out = [name for name in sent if _is_name(name) and _is_of_the_start(name)] if isinstance(sent, Mapping) else []
    if not left_out:
        return ""
    return (
        f"Left out of the environment: {', '.join(sorted(left_out)[:_MOST_SHOWN])}. "
        "They would change how it starts. Set them where your programs are started."
    )


def _is_of_the_start(name: str) -> bool:
    return name in _AT_THE_START or name.startswith(_AT_THE_START_PREFIXES)


def split(variables: Mapping[str, str], *, build_prefixes: Collection[str]) -> Environment:
    """Divide the variables into secrets and build-time values. Raises InvalidEnvironment for what no .env can hold."""
    secrets = {name: value for name, value in variables.items() if name not in _SET_FOR_THE_APP}
    prefixes = tuple(build_prefixes)
    build_time = {name: value for name, value in secrets.items() if prefixes and name.startswith(prefixes)}
    render_dotenv(build_time)
    return Environment(secrets, build_time, variables.get("PORT", ""))


def render_dotenv(variables: Mapping[str, str]) -> str:
    """A .env file that Vite, Next.js and others that use dotenv with dotenv-expand read back the same.

    Raises InvalidEnvironment for a value that can't be written so: in that syntax a quote can't be escaped, so
    a value is put between quotes that it doesn't hold.
    """
    return "".join(f"{name}={_written(name, variables[name])}\n" for name in sorted(variables))


def _written(name: str, value: str) -> str:
    # dotenv-expand puts variables in, within any quotes, unless a backslash is before the dollar.
    text = value.replace("$", "\\$")
    if "\r" in text:
        # A bare carriage return would become a line feed; only double quotes know `\r`.
        if '"' not in text and "\\n" not in text and "\\r" not in text and not text.endswith("\\"):
            return '"' + text.replace("\r", "\\r") + '"'
    elif text.endswith("\\"):
        # The closing quote would be taken for an escaped one.
        if _BARE.match(text):
            return text
    elif "'" not in text:
        return f"'{text}'"
    elif "`" not in text:
        return f"`{text}`"
    elif '"' not in text and "\\n" not in text and "\\r" not in text:
        return f'"{text}"'
    raise InvalidEnvironment(f"envVars.{name}: A .env file can't hold this value: it mixes too many kinds of quotes.")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= LONGEST_NAME and _NAME.match(name) is not None


def _value(name: str, value: object) -> str:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidEnvironment(f"envVars.{name}: Not a valid string.")
    if "\0" in value:
        raise InvalidEnvironment(f"envVars.{name}: Null characters are not allowed.")
    if len(value.encode()) > MOST_VALUE_BYTES:
        raise InvalidEnvironment(f"envVars.{name}: The value is larger than {MOST_VALUE_BYTES >> 10} KB.")
    return value


def _shown(name: object) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(name))[:40] or '""'
