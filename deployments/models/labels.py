"""Looking apps and machines up by the name that their owners gave them."""

from django.db.models import Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact


def called(name: str) -> Exact:
    """The condition that `app_name` is this one without regard to case, as the unique constraints have it."""
    return Exact(Lower("app_name"), Lower(Value(name)))
