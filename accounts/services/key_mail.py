"""Telling people by mail that a key was made in their name: who didn't make it reads how to end it."""

from django.conf import settings

from accounts.audit import Actor
from accounts.models import APIKey
from accounts.services.verified_email import verified_email
from core import mail
from core.request_context import current_address


def tell(*, key: APIKey, by: Actor) -> bool:
    """Mail whoever made the key, after its transaction; False where no mail is configured or no address is theirs.

    All words are ours: the key's name may be a stranger's, and the key itself is nobody's to read.
    """
    address = verified_email(by) if mail.is_configured() else ""
    if not address:
        return False
    place = f" from the address {current_address()}" if current_address() else ""
    return mail.send(
        to=address,
        subject=f"A new API key was made at {settings.PUBLIC_URL}",
        text=(
            f"An API key that begins with {key.start} was made as you{place}, for the organization "
            f"{key.organization.slug}.\n\n"
            f"If that was you, there is nothing to do. If not, revoke it, and sign out everywhere:\n"
            f"{settings.PUBLIC_URL}/account/keys\n{settings.PUBLIC_URL}/account/apps\n"
        ),
    )
