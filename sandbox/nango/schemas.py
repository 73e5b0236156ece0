"""What each route of Nango's public API accepts; everything else is refused."""

import re

from sandbox.nango.errors import Issue, issue
from sandbox.nango.tags import end_user, end_user_with_organization, organization, tags
from sandbox.nango.validation import (
    MISSING,
    Check,
    Path,
    anything,
    flag,
    list_of,
    mapping,
    moment,
    public_url,
    record,
    text,
    whole_number,
    wrong_type,
)

_UNIQUE_KEY = re.compile(r"[a-zA-Z0-9~:.@ _-]+")
# What the routes of one connection find it by; an import takes anything.
_ADDRESS = re.compile(r"""[a-zA-Z0-9,.;:=+~[\]|@${}"'\\/_ -]+""")

_free = mapping(anything)
_connection_id = text(least=1, most=255)
_addressable = text(least=1, most=255, form=_ADDRESS)
_unique_key = text(least=1, most=255, form=_UNIQUE_KEY)
_token = text(least=1, most=16 * 1024)
_secret = text(most=1024)

no_query = record()
pair_query = record({"provider_config_key": _unique_key})
connection_in_path = record({"connectionId": _addressable})


def _include(value: object, path: Path) -> list[Issue]:
    values = value if isinstance(value, list) else [value]
    if all(item in ("webhook", "credentials") for item in values):
        return []
    return [issue("invalid_union", "Invalid input", path)]


def _one_or_more_ids(value: object, path: Path) -> list[Issue]:
    if isinstance(value, list):
        return list_of(_connection_id)(value, path)
    return _connection_id(value, path)


integration_query = record(optional={"include": _include})
list_query = record(
    optional={
        "connectionId": _connection_id,
        "integrationId": text(least=1),
        "search": text(least=1, most=255),
        "limit": whole_number(least=1, most=2000),
        "page": whole_number(least=0),
        "tags": tags,
        "endUserId": text(least=1, most=255),
        "endUserOrganizationId": text(least=1, most=255),
    }
)
detail_query = record(
    {"provider_config_key": _unique_key},
    {
        "force_refresh": flag,
        "refresh_token": flag,
        "refresh_github_app_jwt_token": flag,
    },
)
completion_query = record({"connect_session_token": text(least=1)}, {"params": mapping(text(most=255))})

api_key_body = record({"apiKey": text(least=1, most=1024)})
basic_body = record({"username": _secret, "password": _secret})
patch_body = record(
    optional={
        "tags": tags,
        "webhook_url_override": public_url,
        "end_user": end_user_with_organization,
    }
)
metadata_body = record(
    {
        "connection_id": _one_or_more_ids,
        "provider_config_key": _unique_key,
        "metadata": _free,
    }
)

_CREDENTIALS: dict[str, Check] = {
    "OAUTH2": record(
        {"type": text(), "access_token": _token},
        {
            "refresh_token": _token,
            "expires_at": moment,
            "config_override": record(optional={"client_id": text(), "client_secret": text()}),
        },
    ),
    "OAUTH2_CC": record(
        {"type": text(), "token": _token, "client_id": text(), "client_secret": text()},
        {"expires_at": moment, "raw": _free},
    ),
    "OAUTH1": record({"type": text(), "oauth_token": _token, "oauth_token_secret": _token}, {"raw": _free}),
    "API_KEY": record({"type": text(), "apiKey": text(least=1, most=1024)}),
    "BASIC": record({"type": text(), "username": _secret, "password": _secret}),
    "NONE": record({"type": text()}),
    "TBA": record({"type": text(), "token_id": text(), "token_secret": text()}, {"config_override": _free}),
    "APP": record({"type": text()}, {"app_id": text(), "installation_id": text()}),
    "CUSTOM": record({"type": text()}, {"app_id": text(), "installation_id": text()}),
}

_defaults = mapping(
    record(
        optional={
            "user_scopes": text(),
            "authorization_params": mapping(text()),
            "connection_config": _free,
        }
    )
)
_overrides = mapping(record(optional={"docs_connect": text()}))
_session_extras = {
    "tags": tags,
    "end_user": end_user,
    "organization": organization,
    "integrations_config_defaults": _defaults,
    "overrides": _overrides,
    "webhook_url_override": public_url,
}


def import_body(value: object, path: Path) -> list[Issue]:
    """Check the body of an import."""
    return record(
        {"provider_config_key": _unique_key, "credentials": _credentials},
        {
            "connection_id": text(),
            "metadata": _free,
            "connection_config": _free,
            "tags": tags,
            "end_user": end_user_with_organization,
            "webhook_url_override": public_url,
        },
    )(value, path)


def session_body(value: object, path: Path) -> list[Issue]:
    """Check the body of a connect session: tags or an end user must be there, if only `{}`."""
    shape = record(
        optional={**_session_extras, "allowed_integrations": list_of(_unique_key)},
    )
    issues = shape(value, path)
    if not issues and isinstance(value, dict) and not {"tags", "end_user"} & set(value):
        issues.append(issue("custom", "Either tags or end_user must be provided", path))
    return issues


reconnect_body = record({"connection_id": _addressable, "integration_id": _unique_key}, _session_extras)


def _credentials(value: object, path: Path) -> list[Issue]:
    if not isinstance(value, dict):
        return [wrong_type("object", value, path)]
    kind = value.get("type", MISSING)
    if not isinstance(kind, str) or kind not in _CREDENTIALS:
        return [issue("invalid_union", "Invalid input", (*path, "type"))]
    return _CREDENTIALS[kind](value, path)
