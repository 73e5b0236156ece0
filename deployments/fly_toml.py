"""Our own fly.toml (https://fly.io/docs/reference/configuration/). Pure.

What people upload under that name is never used: it could name another image, read files beside the build,
run commands, or ask for machines of any size.
"""

SERVER_URL = "CRAYON_SERVER_URL"
_VM_SIZE, _VM_MEMORY = "shared-cpu-1x", "512mb"
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


def quoted(text: str) -> str:
    """A TOML basic string (https://toml.io/en/v1.0.0#string)."""
    return f'"{"".join(_escaped(letter) for letter in text)}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
