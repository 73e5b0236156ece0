"""Public documents: the keys that verify tokens, and what this server says of itself."""

from typing import Any, Literal, NotRequired

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from typing_extensions import TypedDict

from accounts.oauth import keys, metadata, resources
from core.api import Endpoint, json_response
from core.errors import NotFound
from core.openapi import documented

_METADATA_SECONDS = 300


class JWK(TypedDict):
    """A public key (RFC 7517, section 4)."""

    kty: Literal["RSA", "OKP"]
    kid: str
    alg: Literal["RS256", "EdDSA"]
    use: Literal["sig"]
    n: NotRequired[str]
    e: NotRequired[str]
    crv: NotRequired[str]
    x: NotRequired[str]


class JWKSet(TypedDict):
    """All public keys of this server (RFC 7517, section 5)."""

    keys: list[JWK]


def cacheable(body: object, *, seconds: int) -> HttpResponse:
    """A JSON answer that everybody may keep for so long, also the scripts of other sites' pages."""
    response = json_response(body)
    response["Cache-Control"] = f"public, max-age={seconds}"
    response["Access-Control-Allow-Origin"] = "*"
    return response


class _Public(Endpoint):
    authentication_classes = ()
    permission_classes = (AllowAny,)


class JWKSView(_Public):
    """GET /.well-known/jwks.json, and /api/auth/jwks."""

    @documented(summary="List the keys that verify tokens", data=JWKSet, tag="tokens", public=True, enveloped=False)
    def get(self, _request: Request) -> HttpResponse:
        """Give the key that signs, the next one, and those whose tokens are still about."""
        now = timezone.now()
        return cacheable(keys.jwks(now=now), seconds=int(keys.PUBLISHED_BEFORE.total_seconds() // 2))


class ServerMetadataView(_Public):
    """GET /.well-known/openid-configuration, and /.well-known/oauth-authorization-server."""

    @documented(
        summary="Describe the authorization server", data=dict[str, Any], tag="tokens", public=True, enveloped=False
    )
    def get(self, _request: Request) -> HttpResponse:
        """Give the one document of both standards."""
        return cacheable(metadata.of_server(), seconds=_METADATA_SECONDS)


class ResourceMetadataView(_Public):
    """GET /.well-known/oauth-protected-resource, and below it for each service."""

    @documented(
        summary="Describe a service that takes tokens",
        data=dict[str, Any],
        tag="tokens",
        public=True,
        enveloped=False,
        errors=[404],
    )
    def get(self, _request: Request, path: str = "") -> HttpResponse:
        """Tell who issues tokens for it."""
        if path not in resources.OWN_PATHS:
            raise NotFound
        return cacheable(metadata.of_resource(path), seconds=_METADATA_SECONDS)
