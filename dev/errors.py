"""The one error of this package: a sentence for the person at the terminal."""


class DevelopmentError(RuntimeError):
    """Something on this machine stands in the way; the message says what, and what to change."""


class FolderInUseError(DevelopmentError):
    """The state folder belongs to another process that is running."""
