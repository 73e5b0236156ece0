"""What ends of deployments when somebody's access does (`accounts.services.access_ended`)."""

from accounts.services.access_ended import Ended, Why, part
from deployments.services import cancellation


@part("builds under way")
def _builds(ended: Ended) -> int:
    """What somebody who is shut out has pushed goes nowhere; who only signs out may still deploy."""
    if ended.why == Why.SIGNED_OUT:
        return 0
    return cancellation.cancel_pushed_by(ended.user.pk, actor=ended.by, now=ended.now)
