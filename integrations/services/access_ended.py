"""What ends here when somebody's access does (`accounts.services.access_ended`)."""

from accounts.services.access_ended import Ended, part
from integrations.models import ConnectLink


@part("links to connect an account")
def _links(ended: Ended) -> int:
    """Pages of ours that would lead the person on to Nango; what Nango gave out lives for half an hour."""
    return ConnectLink.objects.filter(owner=ended.user.pk).delete()[0]
