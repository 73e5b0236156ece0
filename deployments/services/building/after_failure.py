"""What Fly runs once flyctl has ended in any way but well: the machine may have been changed by then.

flyctl that is interrupted while it updates a machine takes nothing back, and neither does one that waits in vain for
the app's health. So Fly is asked before anything is said of a build that was canceled, or that failed.
"""

import logging
import time

from core.errors import ApplicationError, Unavailable, UpstreamFailed, UpstreamTimeout
from deployments.image_tags import label_of, tag_of
from deployments.models import Build, Deployment
from fly.clients.machines_api import Fly, UnknownApp
from fly.clients.machines_api.types import Machine

logger = logging.getLogger(__name__)

_TRIES, _PAUSE_SECONDS = 3, 1.0
_GONE = frozenset({"destroying", "destroyed", "replaced", "migrated", "launch_failed"})


def image_that_runs(build: Build) -> str | None:
    """The build's image if it has come to the app's machine, "" if not; None when Fly can't be asked.

    An image that ran before the build is not its doing.
    """
    deployment = Deployment.objects.filter(pk=build.deployment_id).first()
    if deployment is None or deployment.state != Deployment.State.READY:
        return ""
    wanted = tag_of(build.from_image) or label_of(build.pk.hex)
    before = deployment.builds.exclude(released_at=None).order_by("-released_at", "-pk").values_list("image", flat=True)
    if wanted == tag_of(before.first() or ""):
        return ""
    try:
        machines = _machines(deployment.fly_app_id)
    except UnknownApp:
        return ""
    except ApplicationError as error:
        logger.warning("build %s: Fly can't be asked what it runs: %s", build.pk, type(error).__name__)
        return None
    images = (image for machine in machines for image in _images_of(machine))
    return next((image for image in images if tag_of(image) == wanted), "")


def _machines(app: str) -> tuple[Machine, ...]:
    fly = Fly.from_settings()
    for _ in range(_TRIES - 1):
        try:
            return fly.list_machines(app)
        except (UpstreamFailed, UpstreamTimeout, Unavailable):
            time.sleep(_PAUSE_SECONDS)
    return fly.list_machines(app)


def _images_of(machine: Machine) -> tuple[str, ...]:
    """What a machine that flyctl looks after runs, or will run as soon as it is replaced."""
    if machine.state in _GONE or not machine.process_group:
        return ()
    return machine.config.image, machine.image
