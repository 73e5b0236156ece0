"""An application that signs people in and is trusted by the server: its keys and its word about API keys, over HTTP."""

import base64
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from accounts import key_format

AUDIENCE = "crayon"


def api_key(prefix: str, letter: str = "x") -> str:
    """A key as another server of this kind makes them."""
    text = prefix + letter * 43
    return text + key_format.checksum(text)


PERSONAL = api_key(key_format.PERSONAL)
WORKER = api_key(key_format.WORKER)

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS: dict[str, Any] = {
    "RS256": _RSA,
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}
_ALGORITHMS: dict[str, Any] = {"RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm, "ES256": ECAlgorithm}


def public_jwk(algorithm: str, key: Any = None, **more: Any) -> dict[str, Any]:
    """A public key as a JWKS has it; its id is its algorithm's name."""
    found = _ALGORITHMS[algorithm].to_jwk((key or KEYS[algorithm]).public_key(), as_dict=True)
    return {**found, "kid": algorithm, "alg": algorithm, "use": "sig", **more}


def rsa_public_pem() -> bytes:
    return _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


class Issuer:
    """The application. `jwks` and `said` are what it answers next; a function takes the handler and answers itself."""

    def __init__(self) -> None:
        self.keys = [public_jwk(algorithm) for algorithm in KEYS]
        self.jwks: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.said: object = {"valid": False, "error": "Invalid"}
        self.status = 200
        self.fetched = 0
        self.asked: list[Any] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                if issuer.jwks is not None:
                    issuer.jwks(self)
                else:
                    answer(self, {"keys": issuer.keys})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                issuer.asked.append(body)
                if callable(issuer.said):
                    issuer.said(self)
                else:
                    answer(self, issuer.said, status=issuer.status)

            def log_message(self, *_args: Any, **_named: Any) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a token of alice's says in acme; a claim that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice-there",
            "id": "alice-there",
            "iat": now,
            "exp": now + 300,
            "email": "alice@example.com",
            "name": "Alice",
            "org": {"id": "acme-there", "slug": "acme", "name": "Acme", "role": "member"},
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, *, algorithm: str = "RS256", key: Any = None, headers: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A token, signed by the algorithm's key unless another is given."""
        head = {"kid": algorithm, "typ": "JWT", **(headers or {})}
        return jwt.encode(self.claims(**changes), key or KEYS[algorithm], algorithm=algorithm, headers=head)

    def say(self, **answer: Any) -> None:
        """Say yes to every key from now on."""
        self.said = {"valid": True, "userId": "alice-there", "orgSlug": "acme", **answer}


def answer(handler: BaseHTTPRequestHandler, body: object, *, status: int = 200, **headers: str) -> None:
    """Answer JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)
