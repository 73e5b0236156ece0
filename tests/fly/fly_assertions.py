"""What the tests of deployments ask the sandbox's Fly, and how they do things at once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.bearer import caller_of
from accounts.models import User
from accounts.principals import Principal
from fly.models import FlyApp
from tests.conftest import token_of
from tests.sandbox_process import SandboxProcess


def caller(person: User) -> Principal:
    """The person as they call the API."""
    return caller_of(token_of(person), now=timezone.now())


def apps_at_fly(sandbox: SandboxProcess) -> set[str]:
    """The names of all apps."""
    return set(sandbox.state()["fly"]["apps"])


def kinds_at_fly(sandbox: SandboxProcess, app: str) -> list[str]:
    """The kinds of an app's addresses, sorted."""
    return sorted(ip["type"] for ip in sandbox.state()["fly"]["ips"].values() if ip["app"] == app)


def changes_at_fly(sandbox: SandboxProcess) -> list[str]:
    """ "METHOD /path" of every call that was to change something, oldest first."""
    entries = sandbox.requests("fly")
    return [f"{entry['method']} {entry['path']}" for entry in entries if entry["method"] != "GET"]


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """What `call(0)`, `call(1)`, … answer, or the errors they raise, when all begin together."""
    barrier = threading.Barrier(count)
    outcomes: list[Any] = [None] * count

    def attempt(number: int) -> None:
        try:
            barrier.wait()
            outcomes[number] = call(number)
        except Exception as error:  # noqa: BLE001 - the outcome of a thread
            outcomes[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def age(app: FlyApp, **ago: float) -> None:
    """Put everything that happened to an app so long ago."""
    then = timezone.now() - timedelta(**ago)
    FlyApp.objects.filter(pk=app.pk).update(created_at=then)
    for name in ("claimed_at", "ready_at", "gone_at"):
        FlyApp.objects.filter(pk=app.pk, **{f"{name}__isnull": False}).update(**{name: then})
