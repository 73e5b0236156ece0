"""The toolkit's reading of requests, with our rules for what a client may ask a person."""

from typing import Any

from django.http import HttpRequest
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauthlib.common import Request, urlencode
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)
from oauthlib.oauth2.rfc6749.utils import scope_to_list

from accounts.models import OAuthClient
from accounts.models.oauth import DEVICE_CODE
from accounts.oauth import resources


class Core(OAuthLibCore):  # type: ignore[misc]  # the toolkit is untyped
    """Refuses at once what would be refused after the person has agreed."""

    def validate_authorization_request(self, request: HttpRequest) -> tuple[list[str], dict[str, Any]]:
        """The scopes and what else is asked for.

        Raises FatalClientError, for which nobody is sent anywhere, or OAuthToolkitError with where to.
        """
        scopes, asked = super().validate_authorization_request(request)
        state, redirect_uri = asked.get("state"), asked["redirect_uri"]
        try:
            if asked.get("code_challenge_method") != "S256":
                raise InvalidRequestError("code_challenge_method has to be S256.", state=state)
            asked["resource"] = resources.accepted(request.GET.getlist("resource"), state=state)
        except OAuth2Error as error:
            raise OAuthToolkitError(error=error, redirect_uri=redirect_uri) from error
        return scopes, asked

    def device_request(self, request: HttpRequest) -> tuple[OAuthClient, list[str], list[str]]:
        """The client that wants to sign a device in, and for which scopes and resources. Raises OAuth2Error."""
        validator = self.server.request_validator
        asked = Request(
            request.get_full_path(),
            request.method,
            urlencode(self.extract_body(request)),
            self.extract_headers(request),
        )
        if not asked.client_id:
            raise InvalidRequestError("client_id is missing.")
        if validator.client_authentication_required(asked):
            known = validator.authenticate_client(asked)
        else:
            known = validator.authenticate_client_id(asked.client_id, asked)
        if not known:
            raise InvalidClientError
        client: OAuthClient = asked.client
        if DEVICE_CODE not in client.grant_types:
            raise UnauthorizedClientError
        scopes = scope_to_list(asked.scope) or validator.get_default_scopes(client.client_id, asked)
        if not validator.validate_scopes(client.client_id, scopes, client, asked):
            raise InvalidScopeError
        wanted = [value for name, value in asked.decoded_body or [] if name == "resource"]
        return client, list(scopes), resources.accepted(wanted)

    def client_of(self, request: HttpRequest) -> OAuthClient | None:
        """The client that says who it is by a secret of its own; None where none does."""
        asked = Request(
            request.get_full_path(),
            request.method,
            urlencode(self.extract_body(request)),
            self.extract_headers(request),
        )
        if not self.server.request_validator.authenticate_client(asked):
            return None
        client: OAuthClient = asked.client
        return None if client.is_public else client

    def oauthlib_request(self, request: HttpRequest) -> Request:
        """The request as oauthlib reads it."""
        body, headers = urlencode(self.extract_body(request)), self.extract_headers(request)
        return Request(request.get_full_path(), request.method, body, headers)
