"""What operators do to apps and builds: what their people do, where the operator has power over the owner."""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.services.operator_power import has_power, require_power_now
from deployments.models import Build, Deployment
from deployments.services import builds, cancellation, destruction
from deployments.services.access import owners_of


def may(*, deployment: Deployment, by: User) -> bool:
    """Whether the operator may do anything to the app or its builds."""
    return has_power(by=by, over=owners_of(deployment.pk))


def destroy(*, deployment: Deployment, by: User, now: datetime) -> bool:
    """Remove an app; says whether it is gone already. Raises SuperusersOnly and NoSuchApp."""
    return destruction.destroy_any(
        operator=by,
        deployment_id=deployment.pk,
        now=now,
        claim=lambda: require_power_now(by=by, over=owners_of(deployment.pk)),
    )


@transaction.atomic
def cancel(*, build: Build, by: User) -> bool:
    """Cancel a build; False when that was done before. Raises SuperusersOnly, and as `cancel_build` does."""
    require_power_now(by=by, over=owners_of(build.deployment_id))
    return cancellation.cancel_build(build.pk, by)


@transaction.atomic
def redeploy(*, build: Build, by: User, now: datetime) -> Build:
    """Deploy a build's image again. Raises SuperusersOnly, and as `builds.redeploy` does."""
    require_power_now(by=by, over=owners_of(build.deployment_id))
    return builds.redeploy(build=build, actor=by, now=now)
