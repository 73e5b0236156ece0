"""Our own fly.toml (https://fly.io/docs/reference/configuration/). Pure.

What people upload under that name is never used: it could name another image, read files beside the build,
run commands, or ask for machines of any size.
"""

import re

DEFAULT_PORT = 3000
SERVER_URL = "CRAYON_SERVER_URL"
_LAST_PORT = 65535
_VM_SIZE, _VM_MEMORY = "shared-cpu-1x", "512mb"
_CONTINUED = re.compile(r"\\[ \t]*\r?\n")
_INSTRUCTION = re.compile(r"[ \t]*(FROM|EXPOSE|ENV|ARG)[ \t]+(.+)", re.IGNORECASE)
_SET = re.compile(r"""(\w+)(?:=|[ \t]+)["']?(\d+)["']?[ \t]*\Z""")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-(\d+))?\})\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def render(*, app: str, region: str, port: int, commit: str, server_url: str = "") -> str:
    """The configuration of one app, built from the `Dockerfile` at the top of its folder.

    The app is told PORT, and where they are given CRAYON_COMMIT and CRAYON_SERVER_URL, where it asks for credentials.
    A secret of the same name would win at Fly.
    """
    given = {"PORT": str(port), "CRAYON_COMMIT": commit, SERVER_URL: server_url}
    variables = {name: value for name, value in given.items() if value}
    environment = "\n".join(f"{name} = {quoted(value)}" for name, value in variables.items())
    return f"""app = {quoted(app)}
primary_region = {quoted(region)}

[build]
dockerfile = "Dockerfile"

[env]
{environment}

[http_service]
internal_port = {port}
force_https = true
auto_stop_machines = "stop"
auto_start_machines = true
min_machines_running = 0

[[vm]]
size = "{_VM_SIZE}"
memory = "{_VM_MEMORY}"
"""


def port_of(dockerfile: str) -> int:
    """Where the app listens: the one TCP port that the last stage of its Dockerfile exposes, else 3000.

    A variable counts when the file gives it a number.
    """
    exposed: set[int | None] = set()
    numbers: dict[str, str] = {}
    for line in _CONTINUED.sub(" ", dockerfile).splitlines():
        instruction = _INSTRUCTION.match(line)
        if instruction is None:
            continue
        name, rest = instruction[1].upper(), instruction[2].partition(" #")[0].strip()
        if name == "FROM":
            exposed = set()
        elif name == "EXPOSE":
            exposed |= {_port(word, numbers) for word in rest.split() if not word.lower().endswith("/udp")}
        elif given := _SET.match(rest):
            numbers[given[1]] = given[2]
    ports = exposed - {None}
    return ports.pop() or DEFAULT_PORT if len(exposed) == len(ports) == 1 else DEFAULT_PORT


def quoted(text: str) -> str:
    """A TOML basic string (https://toml.io/en/v1.0.0#string)."""
    return f'"{"".join(_escaped(letter) for letter in text)}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _port(word: str, numbers: dict[str, str]) -> int | None:
    """One word of EXPOSE as a port; None when it isn't just one."""
    word = word[: -len("/tcp")] if word.lower().endswith("/tcp") else word
    if variable := _VARIABLE.match(word):
        word = numbers.get(variable[1] or variable[2], variable[3] or "")
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(_LAST_PORT))):
        return None
    return int(word) if 0 < int(word) <= _LAST_PORT else None
