"""The API of keys: make and revoke one's own, make those of workers, register without a browser, and ask about one."""

import uuid
from datetime import timedelta
from typing import Literal

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.api import key_schemas as schemas
from accounts.api.schemas import Revoked
from accounts.current_user import caller_of
from accounts.models import APIKey
from accounts.principals import Kind, Principal
from accounts.services import api_keys, key_validation, registration
from core.api import Endpoint, json_body, json_response, success
from core.needs import Needs
from core.openapi import documented
from core.request_context import current_address
from core.schemas import validated

_TAG = "keys"
_CREATED = 201
_TYPES: dict[Kind, Literal["User", "Worker", "Service"]] = {
    Kind.USER: "User",
    Kind.WORKER: "Worker",
    Kind.SERVICE: "Service",
}
_NOT_GOOD = schemas.ValidatedKey(valid=False, error="This API key is not valid.")
# No key makes, shows or ends another.
_OWN_LOGIN = Needs(None, own_login=True)


class KeysView(Endpoint):
    """GET and POST /api/keys."""

    required_action = {"GET": "keys.view", "POST": "keys.create"}

    needs = {"GET": _OWN_LOGIN, "POST": _OWN_LOGIN}

    @documented(summary="List API keys", data=list[schemas.Key], tag=_TAG)
    def get(self, request: Request) -> HttpResponse:
        """Tell which API keys the caller has, newest first; what is secret of them is not kept."""
        return success([_told(key) for key in api_keys.of_person(user_id=caller_of(request).id)])

    @documented(
        summary="Make an API key",
        data=schemas.NewKeyAnswer,
        tag=_TAG,
        request=schemas.NewKey,
        errors=[404, 409],
        status=_CREATED,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a key that acts as the caller in the organization of the token that this is asked with.

        The key is told this once.
        """
        asked = validated(schemas.NewKey, json_body(request))
        caller = caller_of(request)
        wanted = api_keys.WantedKey(
            name=asked.name, days=asked.expires_in_days, scopes=asked.scopes, networks=asked.networks
        )
        made = api_keys.make(by=caller, organization_id=caller.organization_id, wanted=wanted, now=timezone.now())
        return _new(made)


class KeyView(Endpoint):
    """DELETE /api/keys/{key_id}."""

    required_action = "keys.revoke"

    needs = {"DELETE": _OWN_LOGIN}

    @documented(summary="Revoke an API key", data=Revoked, tag=_TAG, errors=[404])
    def delete(self, request: Request, key_id: uuid.UUID) -> HttpResponse:
        """Revoke a key of the caller's, or of a worker of an organization that they manage."""
        api_keys.revoke(key_id=key_id, by=caller_of(request), now=timezone.now())
        return success(Revoked(status="revoked"))


class RotateView(Endpoint):
    """POST /api/keys/{key_id}/rotate."""

    required_action = "keys.create"

    needs = {"POST": _OWN_LOGIN}

    @documented(
        summary="Rotate an API key",
        data=schemas.NewKeyAnswer,
        tag=_TAG,
        request=schemas.Rotation,
        errors=[404, 409],
        status=_CREATED,
    )
    def post(self, request: Request, key_id: uuid.UUID) -> HttpResponse:
        """Make a key that may what this one may, which goes on for so many hours and then ends."""
        asked = validated(schemas.Rotation, json_body(request))
        overlap = timedelta(hours=asked.overlap_hours)
        return _new(api_keys.rotate(key_id=key_id, by=caller_of(request), overlap=overlap, now=timezone.now()))


class WorkerTokensView(Endpoint):
    """POST /api/orgs/{slug}/worker-tokens."""

    required_action = "orgs.manage-keys"

    needs = {"POST": Needs("orgs:admin", own_login=True)}

    @documented(
        summary="Make a worker's key",
        data=schemas.WorkerToken,
        tag=_TAG,
        request=schemas.NewWorkerKey,
        errors=[404, 409],
        enveloped=False,
        status=_CREATED,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Make a key for a worker of an organization that the caller manages; it is told this once."""
        asked = validated(schemas.NewWorkerKey, json_body(request))
        wanted = api_keys.WantedKey(name=asked.display_name, days=asked.expires_in_days, networks=asked.networks)
        made = api_keys.make_for_worker(by=caller_of(request), slug=slug, wanted=wanted, now=timezone.now())
        return json_response(schemas.WorkerToken(token=made.plain), _CREATED)


class RegisterView(Endpoint):
    """POST /api/users/register."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="Register without a browser",
        data=schemas.RegisteredPerson,
        tag=_TAG,
        request=schemas.Registration,
        errors=[403],
        public=True,
        enveloped=False,
    )
    def post(self, request: Request) -> HttpResponse:
        """Give a key to somebody who has no account, for a tool that connects accounts and uses them."""
        asked = validated(schemas.Registration, json_body(request))
        made = registration.register(name=asked.name, address=current_address(), now=timezone.now())
        until = f"{made.key.row.expires_at:%Y-%m-%d}"
        return json_response(
            schemas.RegisteredPerson(
                user_id=str(made.user_id),
                api_key=made.key.plain,
                message="Keep this API key: it is shown this once, and there is no other way in. Send it as "
                f"`Authorization: Bearer <key>`. It works until {until}.",
            )
        )


class ValidateView(Endpoint):
    """POST /api/auth/validate-key."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="Validate a key",
        data=schemas.ValidatedKey,
        tag=_TAG,
        request=schemas.KeyToValidate,
        public=True,
        enveloped=False,
    )
    def post(self, request: Request) -> HttpResponse:
        """Tell a service that was handed a key whose it is; what is no good is not told apart."""
        asked = validated(schemas.KeyToValidate, json_body(request))
        found = key_validation.validate(key=asked.api_key, address=current_address(), now=timezone.now())
        return json_response(_NOT_GOOD if found is None else _whose(found))


def _whose(principal: Principal) -> schemas.ValidatedKey:
    return schemas.ValidatedKey(
        valid=True,
        userId=str(principal.id) if principal.is_person else None,
        orgSlug=principal.organization_slug,
        tenantSlug=principal.organization_slug,
        orgId=str(principal.organization_id),
        principalType=_TYPES[principal.kind],
        principalId=str(principal.id),
        role=principal.role,
        permissions=key_validation.permissions_of(principal),
        keyId=str(principal.credential_id),
        name=principal.credential_name,
        expiresAt=principal.credential_expires_at,
    )


def _new(made: api_keys.MadeKey) -> HttpResponse:
    return success(schemas.NewKeyAnswer(**_told(made.row), key=made.plain), _CREATED)


def _told(key: APIKey) -> schemas.Key:
    return schemas.Key(
        id=str(key.pk),
        name=key.name,
        start=key.start,
        organization=key.organization.slug,
        scopes=key.scopes,
        networks=key.networks,
        createdAt=key.created_at,
        expiresAt=key.expires_at,
        lastUsedAt=key.last_used_at,
        lastUsedAddress=key.last_used_address,
    )
