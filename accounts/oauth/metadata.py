"""What this server says of itself to clients, built from PUBLIC_URL alone."""

from django.conf import settings

from accounts.models.oauth import GRANT_TYPES
from accounts.oauth import resources, scopes

_SECRETS = ["client_secret_basic", "client_secret_post"]


def address(path: str) -> str:
    """The whole address of a path here."""
    return f"{settings.PUBLIC_URL}/{path}"


def of_server() -> dict[str, object]:
    """The authorization server's (RFC 8414, section 2) and the OpenID provider's (Discovery, section 3) in one."""
    return {
        "issuer": settings.PUBLIC_URL,
        "authorization_endpoint": address("oauth/authorize"),
        "token_endpoint": address("oauth/token"),
        "userinfo_endpoint": address("oauth/userinfo"),
        "revocation_endpoint": address("oauth/revoke"),
        "device_authorization_endpoint": address("oauth/device/code"),
        "introspection_endpoint": address("oauth/introspect"),
        "jwks_uri": address(".well-known/jwks.json"),
        "scopes_supported": list(scopes.ALL),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [*GRANT_TYPES],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["none", *_SECRETS],
        "revocation_endpoint_auth_methods_supported": ["none", *_SECRETS],
        "introspection_endpoint_auth_methods_supported": _SECRETS,
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "name", "preferred_username", "email",
            "email_verified",
        ],
        "prompt_values_supported": ["none", "consent"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
        "service_documentation": address("api/docs"),
    }  # fmt: skip


def of_resource(path: str) -> dict[str, object]:
    """What RFC 9728 has a service of this server's say: who issues tokens for it, and what they may."""
    return {
        "resource": resources.own(path),
        "authorization_servers": [settings.PUBLIC_URL],
        "scopes_supported": list(scopes.ALL),
        "bearer_methods_supported": ["header"],
        "resource_name": "crayon server",
        "resource_documentation": address("api/docs"),
    }


def challenge(*, path: str = "api", invalid: bool = False) -> str:
    """What a 401 asks for (RFC 6750, section 3), and where to find who gives it (RFC 9728, section 5.1)."""
    error = ', error="invalid_token"' if invalid else ""
    return f'Bearer realm="crayon"{error}, resource_metadata="{address_of_resource(path)}"'


def address_of_resource(path: str) -> str:
    """Where that is said (section 3.1)."""
    return address("/".join([".well-known/oauth-protected-resource", *([path] if path else [])]))
