"""The client of this server's organization at Fly."""

from functools import lru_cache

from django.conf import settings

from fly.clients.machines_api.apps import AppCalls
from fly.clients.machines_api.errors import FlyNotConfigured
from fly.clients.machines_api.machines import MachineCalls
from fly.clients.machines_api.volumes import VolumeCalls


class Fly(AppCalls, MachineCalls, VolumeCalls):
    """One organization at Fly. Safe for threads; calls share one pool.

    Every method may raise ServiceFailed, FlyFailed or FlyRejected (502), ServiceTimeout (504), and
    FlyBusy or FlyRefusesToken (503); `budget` is the number of seconds for one call. Bodies are never logged.
    """

    @classmethod
    def from_settings(cls, *, shares_budget: bool = False) -> "Fly":
        """The configured organization's client, one for the process. Raises FlyNotConfigured.

        With `shares_budget` all its calls of one request together have the time that else each of them has.
        """
        if not settings.FLY_API_TOKEN:
            raise FlyNotConfigured
        return _shared(
            settings.FLY_API_URL,
            settings.FLY_PLATFORM_URL,
            settings.FLY_API_TOKEN,
            settings.FLY_ORG,
            settings.OUTGOING_PROXY_URL,
            settings.OUTGOING_CA_FILE,
            shares_budget=shares_budget,
        )


@lru_cache(maxsize=8)
def _shared(api_url: str, platform_url: str, token: str, org: str, *_transport: str, shares_budget: bool) -> Fly:
    # `_transport` are settings that the client's pool reads itself: other ones need another client.
    return Fly(api_url=api_url, platform_url=platform_url, token=token, org=org, shares_budget=shares_budget)
