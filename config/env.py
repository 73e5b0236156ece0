"""Typed readers of the environment: the only place that touches it.

Every setting is text there. A reader turns it into the type the settings file wants, or stops
the start with a sentence that names the variable, so that a typing error never becomes a default.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


def text(name: str, default: str | None = None) -> str:
    """The variable without surrounding space; `default` when it is unset or empty.

    Raises ImproperlyConfigured when it is missing and there is no default.
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} must be set; .env.example says to what.")
    return default


def secret(name: str, default: str | None = None) -> str:
    """Like `text`, and NAME_FILE may name a file that holds the value (Docker and Fly secrets)."""
    path = text(f"{name}_FILE", "")
    if not path:
        return text(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE names a file that can't be read: {error}") from error


def flag(name: str, *, default: bool) -> bool:
    """True or false, in the usual spellings; anything else stops the start."""
    value = text(name, "").lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return value in _TRUE


def integer(
    name: str, default: int, *, at_least: int = 0, at_most: int | None = None, in_file: int | None = None
) -> int:
    """A whole number within its bounds; `in_file` is what CONFIG_FILE has in place of the default."""
    value = text(name, str(default if in_file is None else in_file))
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error
    if number < at_least or (at_most is not None and number > at_most):
        bounds = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise ImproperlyConfigured(f"{name} must be {bounds}, not {number}.")
    return number


def choice(name: str, default: str, choices: Iterable[str]) -> str:
    """One of a few words."""
    value = text(name, default)
    allowed = tuple(choices)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value


def words(name: str, default: Iterable[str] = ()) -> list[str]:
    """A list separated by commas; empty entries are dropped."""
    value = text(name, "")
    return [word.strip() for word in value.split(",") if word.strip()] if value else list(default)


def url(name: str, default: str | None = None) -> str:
    """An http(s) address without a trailing slash, query or fragment; "" where the default is ""."""
    value = text(name, default).rstrip("/")
    if not value and default == "":
        return value
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query
        valid = valid and not parts.fragment and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ImproperlyConfigured(f"{name} must be an address that starts with http:// or https://.")
    return value


def host_of(address: str) -> str:
    """The address's host as it stands in a request's `Host`, without the port: IPv6 in brackets."""
    host = urlsplit(address).hostname or ""
    return f"[{host}]" if ":" in host else host


def mail_server(address: str) -> tuple[str, int, str, str, bool, bool]:
    """Host, port, user, password, STARTTLS and TLS of what an smtp://, smtp+tls:// or smtp+ssl:// address names.

    All empty for "". Raises ImproperlyConfigured, without the address, which has a password in it.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if address and (parts.scheme not in _MAIL_PORTS or not host):
        raise ImproperlyConfigured("EMAIL_URL must look like smtp+tls://user:password@host:587.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    port = port or _MAIL_PORTS.get(parts.scheme, 0)
    return host, port, user, password, parts.scheme == "smtp+tls", parts.scheme == "smtp+ssl"


def database(name: str, *, in_file: str | None = None) -> dict[str, object]:
    """Django's settings of the PostgreSQL database that a postgres:// address names; `in_file` is CONFIG_FILE's."""
    address = secret(name, in_file)
    if urlsplit(address).scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be a postgres:// address: PostgreSQL is the only database.")
    return dict(environ.Env.db_url_config(address))
