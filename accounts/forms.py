"""The operators' password form."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from accounts.models import User
from accounts.services import operators
from config.core.requests import client_address


class OperatorSignInForm(AuthenticationForm):  # type: ignore[misc]  # unfold is untyped
    """Asks for an operator's password: limited by address and by name, and noted in the audit trail."""

    def clean(self) -> dict[str, Any]:
        """Check the password. Raises TooManyRequests before it looks at one when the limit is reached."""
        typed: dict[str, Any] = self.cleaned_data
        username, password = typed.get("username"), typed.get("password")
        if not username or not password:
            return typed
        operators.count_attempt(username=username, address=client_address(self.request))
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            operators.record_failed_sign_in(username=username)
            raise
        user = self.get_user()
        if isinstance(user, User):
            operators.record_sign_in(user=user)
        return cleaned
