"""Facts about the current request that code far from it needs: its id, its client, and how long services may take."""

import ipaddress
import random
import re
import time
from contextvars import ContextVar
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

_request_id: ContextVar[str] = ContextVar("request_id", default="-")
_caller: ContextVar[str] = ContextVar("caller", default="")
_address: ContextVar[str] = ContextVar("address", default="")
# The ids of the policies that decided last.
_decision: ContextVar[tuple[str, ...]] = ContextVar("decision", default=())
# By service, in monotonic seconds; None outside of a request.
_deadlines: ContextVar[dict[str, float] | None] = ContextVar("deadlines", default=None)
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
REQUEST_ID_HEADER = "X-Request-ID"
# How often as much as an address or a /64 may have, its /56 and its /48 may.
NETWORK_SHARES = (1, 2, 4)
# No page begins with two slashes, so whoever asks for `//api/x` is a machine too.
MACHINE_PREFIXES = ("/api/", "/_/", "/webhooks/", "/.well-known/", "/oauth/", "//")
_MACHINE_ROOTS = frozenset({"/api", "/_", "/webhooks"})


def is_for_machines(path: str) -> bool:
    """Whether the path belongs to the JSON API and the like, where every answer is JSON."""
    return (path.startswith(MACHINE_PREFIXES) or path in _MACHINE_ROOTS) and path not in settings.PAGES_UNDER_API


def own_path(wanted: str) -> str:
    """`wanted` when it is a path on this server, safe to send a browser to; "" when it leads anywhere else."""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None, require_https=settings.IS_SECURE)
    return wanted if safe and wanted.startswith("/") else ""


def current_request_id() -> str:
    """The id of the request being served in this context, or "-" outside of one."""
    return _request_id.get()


def current_address() -> str:
    """The client's address of the request being served in this context, or "" outside of one."""
    return _address.get()


def note_address(address: str) -> None:
    """Remember where the current request comes from, for fronts that have no Django request."""
    _address.set(address)


def current_caller() -> str:
    """The id of the person whom the current request was found to come from, or ""."""
    return _caller.get()


def note_caller(caller_id: object) -> None:
    """Remember who the current request comes from, for the access log."""
    _caller.set(str(caller_id))


def note_decision(policies: tuple[str, ...]) -> None:
    """Remember by which policies it was decided last, for the audit trail."""
    _decision.set(policies)


def current_decision() -> tuple[str, ...]:
    """The ids of the policies that decided last in the request being served in this context."""
    return _decision.get()


def begin_request(request: HttpRequest) -> str:
    """Forget the thread's last request; note this one's address and its id, which is returned.

    The id is the one that a trusted proxy sent, when it looks like one, else a new one: a stranger's would stand in
    the audit trail.
    """
    is_behind_proxy = settings.CLIENT_ADDRESS_HEADER or settings.TRUSTED_PROXY_COUNT
    offered = request.META.get("HTTP_X_REQUEST_ID", "") if is_behind_proxy else ""
    request_id = begin_unread_request(offered if _ACCEPTABLE_ID.fullmatch(offered) else "")
    _address.set(client_address(request))
    _deadlines.set({})
    return request_id


def end_request() -> None:
    """Free what the thread does next from this request's deadline; id and address stay, for the logs."""
    _deadlines.set(None)


def deadline_of(service: str, *, seconds: float) -> float:
    """When `service` must have answered all calls of this request: so many seconds after its first one began.

    In monotonic seconds. Outside of a request every call has as long for itself.
    """
    fresh = time.monotonic() + seconds
    known = _deadlines.get()
    return fresh if known is None else known.setdefault(service, fresh)


def begin_unread_request(request_id: str = "") -> str:
    """Forget the thread's last request; the id of one that nothing else is known of, which is new by default."""
    request_id = request_id or f"{random.getrandbits(64):016x}"
    _request_id.set(request_id)
    _caller.set("")
    _address.set("")
    _decision.set(())
    return request_id


def client_address(request: HttpRequest) -> str:
    """The caller's IP address as text, as far as the trusted proxies tell it.

    CLIENT_ADDRESS_HEADER names a header that the proxy overwrites (such as `Fly-Client-IP`), else
    TRUSTED_PROXY_COUNT counts the proxies that append to X-Forwarded-For: the entry that the
    outermost of them wrote is taken, never one that the client could have written itself.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    candidate = peer
    if settings.CLIENT_ADDRESS_HEADER:
        candidate = str(request.META.get(_meta_name(settings.CLIENT_ADDRESS_HEADER), ""))
    elif settings.TRUSTED_PROXY_COUNT:
        hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
        candidate = hops[-settings.TRUSTED_PROXY_COUNT] if len(hops) >= settings.TRUSTED_PROXY_COUNT else peer
    return plain_address(candidate) or plain_address(peer) or "0.0.0.0"  # noqa: S104 - "unknown", nothing binds to it


@lru_cache(maxsize=4096)
def plain_address(address: str) -> str:
    """The one spelling of an IP address, or "" for what is none.

    IPv4 that came to a socket for both families (`::ffff:192.0.2.1`, RFC 4291, section 2.5.5.2) is the IPv4 address:
    as IPv6 all of IPv4 would be one network. A zone, such as in `fe80::1%eth0`, says something to its own host only.
    """
    try:
        parsed = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed).partition("%")[0]


def is_same_place(one: str | None, other: str | None) -> bool:
    """Whether two addresses, each as `plain_address` has it or unknown, are of one host as far as they tell.

    A host speaks to itself from `127.0.0.1` or from `::1`, as its programs please.
    """
    if not one or not other:
        return False
    return one == other or all(ipaddress.ip_address(address).is_loopback for address in (one, other))


def networks_of(address: str) -> tuple[str, ...]:
    """What a limit counts `address` as: itself; for IPv6 its /64, all of which one host may use, its /56 and its /48.

    RFC 4291, section 2.5.1: the last 64 bits are the host's. RFC 6177: providers give one customer any of the three.
    """
    canonical = plain_address(address)
    if ":" not in canonical:
        return (canonical or address,)
    return tuple(str(ipaddress.ip_network((canonical, length), strict=False)) for length in (64, 56, 48))


def _meta_name(header: str) -> str:
    """WSGI's name of a header (PEP 3333); `request.headers` would parse all of them."""
    return f"HTTP_{header.upper().replace('-', '_')}"
