"""Fields of requests that both deployments and machines have."""

from typing import Annotated

from core.schemas import told, words
from fly.names import LONGEST_APP_NAME, labeled

# What somebody calls an app, in the form that is kept. NotAnAppName for what none can be called: that sentence is for a
# person, who has never heard of the field, since their tool has taken the name from elsewhere.
AppName = Annotated[
    str,
    words(trimmed=False, check=labeled),
    told(f"What the app is called: 1 to {LONGEST_APP_NAME} visible characters, matched without regard to case."),
]
# Environment variables: their names and values.
Variables = dict[str, Annotated[str, words(may_be_blank=True, trimmed=False)]]
