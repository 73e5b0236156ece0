"""Addresses of the authorization server."""

from django.urls import path

from accounts.oauth.views import authorize, tokens
from accounts.oauth.views import devices as device_views
from accounts.oauth.views.browser_token import browser_token
from accounts.oauth.views.documents import JWKSView, ResourceMetadataView, ServerMetadataView

urlpatterns = [
    path(".well-known/openid-configuration", ServerMetadataView.as_view(), name="openid-configuration"),
    path(".well-known/oauth-authorization-server", ServerMetadataView.as_view(), name="server-metadata"),
    path(".well-known/oauth-protected-resource", ResourceMetadataView.as_view(), name="resource-metadata"),
    path(".well-known/oauth-protected-resource/<path:path>", ResourceMetadataView.as_view(schema=None)),
    path(".well-known/jwks.json", JWKSView.as_view(), name="jwks"),
    path("api/auth/jwks", JWKSView.as_view()),
    path("api/auth/token", browser_token, name="browser-token"),
    path("oauth/authorize", authorize.AuthorizeView.as_view(), name="oauth-authorize"),
    path("oauth/token", tokens.TokenView.as_view(), name="oauth-token"),
    path("oauth/device/code", device_views.DeviceStartView.as_view(), name="oauth-device"),
    path("api/auth/device/code", device_views.DeviceStartView.as_view()),
    path("api/auth/device/token", device_views.DeviceTokenView.as_view()),
    path("device", device_views.DevicePage.as_view(), name="device"),
    path("oauth/revoke", tokens.RevocationView.as_view(), name="oauth-revoke"),
    path("oauth/introspect", tokens.IntrospectionView.as_view(), name="oauth-introspect"),
    path("oauth/userinfo", tokens.UserinfoView.as_view(), name="oauth-userinfo"),
]
