"""Addresses that answer strangers, by their routes. Every other one names an action, or is refused.

Django's own marks (`login_not_required`, `AllowAny`) let strangers in; this list says that it is meant.
"""

PUBLIC_PATHS = frozenset(
    {
        "_/health",
        "_/ready",
        "admin",
        "admin/login/",
        # Open to strangers, who are asked to sign in there; of who is signed in more is asked.
        "auth/cli",
        "",
        "auth/sign-in",
        "auth/sign-out",
        "auth/shut-out",
        "auth/address-taken",
        "auth/github",
        "api/auth/github/callback",
        "api/auth/callback/github",
        "api/auth/cli/session",
        "api/auth/device/code",
        "api/auth/device/token",
        "oauth/device/code",
        "api/auth/validate-key",
        # Looks at the credential itself, so that workers' keys are taken here as well.
        "api/auth/verify",
        "api/users/register",
        "api/auth/cli/check",
        "api/cloud-dev/revoked-tokens",
        # What others read to sign people in by this server, and to verify its tokens.
        ".well-known/openid-configuration",
        ".well-known/oauth-authorization-server",
        ".well-known/oauth-protected-resource",
        ".well-known/oauth-protected-resource/<path:path>",
        ".well-known/jwks.json",
        "api/auth/jwks",
        # Clients prove who they are themselves; people are asked to sign in, or told that they have to.
        "api/auth/token",
        "oauth/authorize",
        "oauth/token",
        "oauth/revoke",
        "oauth/introspect",
        "api/docs",
        "api/docs/openapi.json",
        # Nango signs what it sends.
        "webhooks/nango",
    }
)
