"""What oauthlib asks while it walks through a flow, answered from our own tables.

Only the published interface of oauthlib's RequestValidator is answered here (and a grep test holds that). Of the
toolkit's class what stays is how clients say who they are, and the comparison of redirect addresses.
"""

from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant

from accounts.bearer import InvalidToken
from accounts.models import OAuthClient
from accounts.models.oauth import DEVICE_CODE
from accounts.oauth import access_tokens, codes, devices, identity, logins, refresh, resources


class Validator(OAuth2Validator):  # type: ignore[misc]  # the toolkit is untyped
    """Our rules. A refusal is False, or an error of oauthlib's where its name matters."""

    # --- which grants a client may use --------------------------------------------------------

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: OAuthClient, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Only what the client has registered for."""
        return grant_type in request.client.grant_types

    def validate_user(self, username: str, password: str, client: Any, request: Any, *_: Any, **__: Any) -> bool:
        """No password is ever given to a client."""
        return False

    def validate_silent_login(self, request: Any) -> bool:
        """Say yes: the view of `prompt=none` finds out by itself, as it knows the browser."""
        return True

    def validate_silent_authorization(self, request: Any) -> bool:
        """Say yes, as above."""
        return True

    # --- authorization codes ------------------------------------------------------------------

    def save_authorization_code(self, client_id: str, code: dict[str, str], request: Any, *_: Any, **__: Any) -> None:
        """Keep what the person has agreed to; the view has put user, organization and resource on the request."""
        codes.keep(
            code["code"],
            client=request.client,
            user=request.user,
            organization=request.organization,
            redirect_uri=request.redirect_uri,
            scopes=request.scopes,
            resource=request.resource or [],
            code_challenge=request.code_challenge,
            nonce=str(request.nonce or "")[:255],
            now=timezone.now(),
        )

    def get_authorization_code_scopes(self, client_id: str, code: str, redirect_uri: str, request: Any) -> list[str]:
        """By these oauthlib decides whether an ID token belongs to the answer."""
        return codes.scopes_of(code)

    def validate_code(self, client_id: str, code: str, client: OAuthClient, request: Any, *_: Any, **__: Any) -> bool:
        """Whether this client may redeem it, and now."""
        row = codes.find(code, client=client, now=timezone.now())
        if row is None:
            return False
        request.agreed = row
        request.user = row.user
        request.scopes = row.scope.split()
        request.nonce = row.nonce or None
        request.audience = resources.narrowed(_asked_resources(request), granted=row.resource)
        return True

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        """The very same address as when the person agreed."""
        return bool(request.agreed.redirect_uri == redirect_uri)

    def get_code_challenge(self, code: str, request: Any) -> str:
        """What the verifier is compared with (RFC 7636)."""
        return str(request.agreed.code_challenge)

    def get_code_challenge_method(self, code: str, request: Any) -> str:
        """S256 is the only one."""
        return "S256"

    def get_authorization_code_nonce(self, client_id: str, code: str, redirect_uri: str, request: Any) -> str | None:
        """What the client tells its request by."""
        nonce: str | None = request.nonce
        return nonce

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *_: Any, **__: Any) -> None:
        """Use it up."""
        if not codes.redeem(request.agreed, login=request.login, now=timezone.now()):
            raise InvalidGrantError(request=request)

    # --- devices ------------------------------------------------------------------------------

    def validate_device_code(self, client_id: str, device_code: str, request: Any, *_: Any, **__: Any) -> str | None:
        """What became of a device's login, in oauthlib's words; "authorized" for the one who redeems it."""
        found = devices.poll(device_code, client=request.client, now=timezone.now())
        if found is None or isinstance(found, str):
            return found
        request.agreed = found
        request.user = found.user
        request.scopes = found.scopes
        request.nonce = None
        request.audience = resources.narrowed(_asked_resources(request), granted=found.resource or [])
        return DeviceCodeGrant.DEVICE_CODE_AUTHORIZED  # type: ignore[no-any-return]

    # --- refresh ------------------------------------------------------------------------------

    def validate_refresh_token(self, refresh_token: str, client: OAuthClient, request: Any, *_: Any, **__: Any) -> bool:
        """Whether it is this client's, of a login that is alive, and was not replaced a while ago."""
        row = refresh.find(refresh_token, client=client, now=timezone.now())
        if row is None:
            return False
        request.presented = row
        request.login = row.login
        request.user = row.login.user
        request.refresh_token = refresh_token
        request.audience = resources.narrowed(_asked_resources(request), granted=row.login.resource)
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *_: Any, **__: Any) -> str:
        """What the person agreed to; an access token may have less of it."""
        return str(request.login.scope)

    def rotate_refresh_token(self, request: Any) -> bool:
        """Each is replaced by its successor."""
        return True

    def save_bearer_token(self, token: dict[str, Any], request: Any, *_: Any, **__: Any) -> None:
        """Keep what lasts of an answer: the digest of the refresh token, where the client may have one."""
        now = timezone.now()
        logins.note_client(request.client, now=now)
        if "refresh_token" not in request.client.grant_types:
            token.pop("refresh_token", None)
        elif request.grant_type == "refresh_token":
            refresh.rotate(request.presented, to=token["refresh_token"], now=now)
            access_tokens.note_use(request.login.pk, now=now)
        else:
            refresh.keep(token["refresh_token"], login=request.login, now=now)
        if request.grant_type == DEVICE_CODE and "openid" in request.scopes:
            # oauthlib adds one to the answers of the other flows alone.
            begun = {"aud": request.client.client_id}
            token["id_token"] = identity.id_token(begun, login=request.login, scopes=request.scopes, now=now)

    def revoke_token(self, token: str, token_type_hint: str, request: Any, *_: Any, **__: Any) -> None:
        """End the login to which it belongs, if that is the client's (RFC 7009, section 2.1)."""
        now = timezone.now()
        login_id = refresh.login_of(token, client=request.client)
        if login_id is None:
            try:
                verified = access_tokens.verify(token, audiences=resources.audiences(), now=now)
            except InvalidToken:
                return
            if verified.claims["client_id"] != request.client.client_id:
                return
            login_id = verified.login_id
        logins.end(login_id=login_id, why=logins.Why.CLIENT_REVOKED, by=None, now=now)

    # --- tokens brought to the toolkit's own views, of which none is mounted --------------------

    def validate_bearer_token(self, token: str, scopes: list[str], request: Any) -> bool:
        """Take none: our API has its own authentication."""
        return False

    def validate_jwt_bearer_token(self, token: str, scopes: list[str], request: Any) -> bool:
        """Take none; the toolkit would take an ID token for one."""
        return False

    def validate_id_token(self, token: str, scopes: list[str], request: Any) -> bool:
        """Take none."""
        return False

    # --- ID tokens ----------------------------------------------------------------------------

    def finalize_id_token(self, id_token: dict[str, Any], token: Any, token_handler: Any, request: Any) -> str:
        """The ID token, signed like an access token, but of another type."""
        return identity.id_token(id_token, login=request.login, scopes=request.scopes, now=timezone.now())


def _asked_resources(request: Any) -> list[str]:
    """RFC 8707 lets the parameter come more than once; oauthlib keeps the last alone."""
    return [value for name, value in request.decoded_body or [] if name == "resource"]
