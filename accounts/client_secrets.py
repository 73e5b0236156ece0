"""How secrets of clients are kept that this server made: they are random, so a plain digest is enough."""

import hmac
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher

from core.crypto import digest


class RandomSecretHasher(BasePasswordHasher):
    """SHA-256. Slow hashes protect what can be guessed, and would give everybody a lever on the processor here.

    It verifies nobody's password: of passwords none is ever encoded with it.
    """

    algorithm = "sha256_random"

    def salt(self) -> str:
        """None is needed: no two secrets are alike."""
        return ""

    def encode(self, password: str, salt: str) -> str:  # noqa: ARG002 - Django's signature
        """The digest, with the algorithm's name before it."""
        return f"{self.algorithm}${digest(password).hex()}"

    def decode(self, encoded: str) -> dict[str, Any]:
        """What an encoded secret consists of."""
        algorithm, _, hashed = encoded.partition("$")
        return {"algorithm": algorithm, "hash": hashed}

    def verify(self, password: str, encoded: str) -> bool:
        """Whether it is that secret."""
        return hmac.compare_digest(self.encode(password, ""), encoded)

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """What may be shown of it."""
        return {"algorithm": self.decode(encoded)["algorithm"]}

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Take no more time."""

    def must_update(self, encoded: str) -> bool:  # noqa: ARG002 - Django's signature
        """Never."""
        return False
