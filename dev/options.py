"""What `make dev` may be told through the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevelopmentError
from dev.ports import is_free

_LAST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Options:
    """Ports, the state folder (absolute), and the address people use."""

    port: int
    sandbox_port: int
    state: Path
    public_url: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Options":
        """Read them, or raise DevelopmentError naming the variable that is wrong."""
        port = _port(environment, "PORT", 3000)
        sandbox_port = _port(environment, "SANDBOX_PORT", 3001)
        if port == sandbox_port:
            message = f"PORT and SANDBOX_PORT are both {port}; they must differ."
            raise DevelopmentError(message)
        return cls(
            port=port,
            sandbox_port=sandbox_port,
            state=state_folder(environment),
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

    def require_free_ports(self) -> None:
        """Raise DevelopmentError for a port somebody else listens on."""
        for name, port in (("PORT", self.port), ("SANDBOX_PORT", self.sandbox_port)):
            if not is_free(port):
                message = (
                    f"Port {port} is taken by another program. "
                    f"Stop that one, or choose another port: make dev {name}=<number>"
                )
                raise DevelopmentError(message)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where everything of this `make dev` lies."""
    return Path(environment.get("DEV_STATE") or ".dev").absolute()


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) <= _LAST_PORT:
        message = f"{name} must be a port number from 1 to {_LAST_PORT}, not {value!r}."
        raise DevelopmentError(message)
    return int(value)
