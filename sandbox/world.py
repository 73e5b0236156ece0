"""All the state of one sandbox process."""

from copy import deepcopy

from aiohttp import web

from sandbox.faults import Faults
from sandbox.fly.state import Fly
from sandbox.github.state import GitHub
from sandbox.journal import Journal
from sandbox.nango.ratelimit import RateLimiter
from sandbox.nango.state import Nango
from sandbox.nango.webhooks import Webhooks
from sandbox.settings import Settings


class World:
    """Everything there is."""

    github: GitHub
    nango: Nango
    fly: Fly
    limiter: RateLimiter
    webhooks: Webhooks
    faults: Faults
    journal: Journal
    settings: Settings

    def __init__(self, settings: Settings | None = None) -> None:
        """Start fresh with the settings given to the process."""
        self._initial = settings or Settings()
        self.webhooks = Webhooks()
        self.reset()

    def reset(self) -> None:
        """Go back to how the process started; webhooks on their way are given up."""
        self.webhooks.stop()
        self.webhooks = Webhooks()
        self.github = GitHub()
        self.nango = Nango()
        self.fly = Fly()
        self.limiter = RateLimiter()
        self.faults = Faults()
        self.journal = Journal()
        self.settings = deepcopy(self._initial)


WORLD: web.AppKey[World] = web.AppKey("world", World)
