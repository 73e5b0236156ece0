"""Fields of requests that both deployments and machines have."""

from typing import Any

from core.api import TextField
from fly.names import LONGEST_APP_NAME, labeled


class AppNameField(TextField):
    """What somebody calls an app, in the form that is kept. Raises NotAnAppName for what none can be called.

    That sentence is for a person, who has never heard of the field: their tool has taken the name from elsewhere.
    """

    def __init__(self, **options: Any) -> None:
        told = f"What the app is called: 1 to {LONGEST_APP_NAME} visible characters, matched without regard to case."
        super().__init__(trim_whitespace=False, help_text=told, **options)

    def to_internal_value(self, data: object) -> str:
        """The name, when an app can have it."""
        return labeled(super().to_internal_value(data))
