"""What `make dev` may be told through the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevelopmentError

_LAST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Options:
    """Ports, the state folder (absolute), and the address people use."""

    port: int
    sandbox_port: int
    state: Path
    public_url: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Options":
        """Read them, or raise DevelopmentError naming the variable that is wrong."""
        port, sandbox_port = _port(environment, "PORT", "3000"), _port(environment, "SANDBOX_PORT", "3001")
        if port == sandbox_port:
            raise DevelopmentError(f"PORT and SANDBOX_PORT are both {port}; they must differ.")
        return cls(
            port=port,
            sandbox_port=sandbox_port,
            state=Path(environment.get("DEV_STATE") or ".dev").absolute(),
            public_url=(environment.get("PUBLIC_URL") or f"http://localhost:{port}").rstrip("/"),
        )

    @property
    def server_url(self) -> str:
        """The server's address on this machine, whatever PUBLIC_URL leads through."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox's address."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def operator_password(self) -> Path:
        """The file with the operator's password; it is not there where the operator was made elsewhere."""
        return self.state / "operator-password"


def _port(environment: Mapping[str, str], name: str, default: str) -> int:
    value = environment.get(name) or default
    if not value.isdecimal() or not 0 < int(value) <= _LAST_PORT:
        raise DevelopmentError(f"{name} must be a port number from 1 to {_LAST_PORT}, not {value!r}.")
    return int(value)
