"""Tokens and keys of an application that CONFIG_FILE trusts: whoever it says they are, as far as it may say so here.

`foreign_token` and `foreign_key` are links of the authenticators' chains: each answers a principal, None for what isn't
its own, or raises. Nothing here lets anybody in because something else failed.
"""

from accounts.trusted_issuers.key_validation import foreign_key
from accounts.trusted_issuers.resolution import issuer_name
from accounts.trusted_issuers.tokens import foreign_token

__all__ = ["foreign_key", "foreign_token", "issuer_name"]
