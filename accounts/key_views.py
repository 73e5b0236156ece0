"""The page of API keys: one's own, and those of workers of the organizations that one manages."""

import re
import uuid
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.api import key_schemas
from accounts.current_user import organization_of, person_of
from accounts.models import APIKey, User
from accounts.principals import SCOPES
from accounts.services import api_keys
from accounts.services.organizations import NoSuchOrganization
from core.actions import requires
from core.errors import Malformed
from core.next_url import posted_from
from core.schemas import validated

_DAYS = (7, 30, 90, 180, 365)
_TICKED = frozenset({"connections:read", "connections:use"})
_HOURS = ((24, "a day"), (1, "an hour"), (0, "not at all"))
_SEPARATORS = re.compile(r"[\s,]+")


@requires("keys.view")
@never_cache
@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """The keys, and the forms to make one."""
    return _page(request, person_of(request))


@requires("keys.create")
@never_cache
@posted_from("account-keys")
def make(request: HttpRequest) -> HttpResponse:
    """Make a key of the person's own, and show it this once."""
    user, form = person_of(request), request.POST
    scopes = form.getlist("scopes") if form.get("reach") == "some" else None
    if scopes == []:
        raise Malformed("Tick what the key may do, or choose everything.")
    asked = validated(
        key_schemas.NewKey,
        {
            "name": form.get("name", ""),
            "scopes": scopes,
            "expiresInDays": form.get("days", ""),
            "networks": _networks(form),
        },
    )
    slug = form.get("organization", "")
    chosen = [place.organization_id for place in api_keys.places_of(user_id=user.pk) if place.organization.slug == slug]
    if not chosen:
        raise NoSuchOrganization
    wanted = api_keys.WantedKey(
        name=asked.name, days=asked.expires_in_days, scopes=asked.scopes, networks=asked.networks
    )
    made = api_keys.make(by=user, organization_id=chosen[0], wanted=wanted, now=timezone.now())
    return _page(request, user, made)


@requires("orgs.manage-keys")
@never_cache
@posted_from("account-keys")
def make_for_worker(request: HttpRequest) -> HttpResponse:
    """Make a key for a worker of an organization that the person manages, and show it this once."""
    user, form = person_of(request), request.POST
    asked = validated(
        key_schemas.NewWorkerKey,
        {
            "displayName": form.get("name", ""),
            "networks": _networks(form),
            **({"expiresInDays": form["days"]} if form.get("days") else {}),
        },
    )
    wanted = api_keys.WantedKey(name=asked.display_name, days=asked.expires_in_days, networks=asked.networks)
    made = api_keys.make_for_worker(by=user, slug=form.get("organization", ""), wanted=wanted, now=timezone.now())
    return _page(request, user, made)


@requires("keys.create")
@never_cache
@posted_from("account-keys")
def rotate(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Make the key's successor, and show it this once."""
    user = person_of(request)
    hours = validated(key_schemas.Rotation, {"overlapHours": request.POST.get("hours", "24")}).overlap_hours
    made = api_keys.rotate(key_id=key_id, by=user, overlap=timedelta(hours=hours), now=timezone.now())
    return _page(request, user, made)


@requires("keys.revoke")
@posted_from("account-keys")
def revoke(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Revoke a key."""
    key = api_keys.revoke(key_id=key_id, by=person_of(request), now=timezone.now())
    messages.success(request, f"{key.name} is revoked.")
    return redirect("account-keys")


def _page(request: HttpRequest, user: User, made: api_keys.MadeKey | None = None) -> HttpResponse:
    now = timezone.now()
    places = api_keys.places_of(user_id=user.pk)
    managed = api_keys.managed(places)
    context = {
        "made": made,
        "own": [_shown(key, now) for key in api_keys.of_person(user_id=user.pk)],
        "of_workers": [_shown(key, now) for key in api_keys.of_workers(of=managed)],
        "organizations": [place.organization for place in places],
        "managed": managed,
        "active": organization_of(request),
        "scopes": [(scope, meaning, scope in _TICKED) for scope, meaning in SCOPES.items()],
        "days": _DAYS,
        "default_days": api_keys.DEFAULT_DAYS,
        "hours": _HOURS,
    }
    return render(request, "accounts/keys.html", context)


def _shown(key: APIKey, now: datetime) -> tuple[APIKey, str, bool]:
    """The key, its state, and whether another one has replaced it."""
    return key, key.state(now=now), hasattr(key, "replaced_by")


def _networks(form: QueryDict) -> list[str]:
    return [text for text in _SEPARATORS.split(form.get("networks", "")) if text]
