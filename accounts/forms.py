"""The operators' password form."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from accounts.services import operators
from core.request_context import client_address


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
            user = operators.find_by_password(username=username, password=password)
            if user is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(user)
        except ValidationError:
            operators.record_failed_sign_in(username=username)
            raise
        self.user_cache = user
        operators.record_sign_in(user=user)
        return typed
