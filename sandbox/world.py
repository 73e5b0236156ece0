"""All the state of one sandbox process."""

import os
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.faults import Faults
from sandbox.github.state import GitHub
from sandbox.journal import Journal


def _redirect_hosts() -> frozenset[str]:
    listed = os.environ.get("SANDBOX_REDIRECT_HOSTS", "")
    return frozenset(host.strip() for host in listed.split(",") if host.strip())


@dataclass
class World:
    """Everything there is. `redirect_hosts` may be redirected to beside loopback."""

    github: GitHub = field(default_factory=GitHub)
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    redirect_hosts: frozenset[str] = field(default_factory=_redirect_hosts)

    def reset(self) -> None:
        """Go back to how the process started."""
        fresh = World()
        self.github = fresh.github
        self.faults = fresh.faults
        self.journal = fresh.journal
        self.redirect_hosts = fresh.redirect_hosts


WORLD: web.AppKey[World] = web.AppKey("world", World)
