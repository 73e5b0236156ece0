"""Mail to people, where a server for it is configured. What matters is shown on pages as well."""

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)


def is_configured() -> bool:
    """Whether mail can be sent at all."""
    return bool(settings.MAIL_IS_CONFIGURED)


def send(*, to: str, subject: str, text: str) -> bool:
    """Send a mail, after the transaction of what it tells of; False where none is sent, or the server didn't take it.

    The log names the kind of failure, and neither the address nor what was written, which may be a secret link.
    """
    if not is_configured():
        return False
    try:
        return bool(EmailMessage(subject=subject, body=text, to=[to]).send())
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("a mail could not be sent: %s", type(error).__name__)
        return False
