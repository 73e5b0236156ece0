"""Addresses of the accounts' pages. The names with underscores are those that allauth asks for."""

from django.urls import include, path

from accounts import github_provider, key_views, views
from accounts.api import keys

urlpatterns = [
    path("", views.home, name="home"),
    path("auth/sign-in", views.sign_in, name="account_login"),
    path("auth/sign-out", views.sign_out, name="account_logout"),
    path("auth/shut-out", views.to_sign_in, name="account_inactive"),
    path("auth/address-taken", views.to_sign_in, name="socialaccount_signup"),
    path("auth/github", github_provider.sign_in, name="github_login"),
    path("auth/cli", views.CLILoginView.as_view(), name="cli-login"),
    path("account/apps", views.apps, name="account-apps"),
    path("account/apps/<uuid:token_id>/revoke", views.revoke_app, name="account-app-revoke"),
    path("account/logins/<uuid:login_id>/end", views.end_login, name="account-login-end"),
    path("account/browsers/<int:session_id>/end", views.end_browser, name="account-browser-end"),
    path("account/revoke-all", views.revoke_all, name="account-revoke-all"),
    path("account/keys", key_views.keys, name="account-keys"),
    path("account/keys/make", key_views.make, name="account-key-make"),
    path("account/keys/<uuid:key_id>/revoke", key_views.revoke, name="account-key-revoke"),
    path("account/keys/<uuid:key_id>/rotate", key_views.rotate, name="account-key-rotate"),
    path("account/worker-keys/make", key_views.make_for_worker, name="account-worker-key-make"),
    path("api/auth/callback/github", github_provider.callback),
    # The last of the two is the one that is sent to GitHub.
    path("api/auth/github/callback", github_provider.callback, name="github_callback"),
    path("api/users/register", keys.RegisterView.as_view(), name="register"),
    path("api/keys", keys.KeysView.as_view(), name="api-keys"),
    path("api/keys/<uuid:key_id>", keys.KeyView.as_view(), name="api-key"),
    path("api/keys/<uuid:key_id>/rotate", keys.RotateView.as_view(), name="api-key-rotate"),
    path("api/orgs/<str:slug>/worker-tokens", keys.WorkerTokensView.as_view(), name="worker-tokens"),
    path("api/auth/", include("accounts.api.urls")),
    path("", include("accounts.oauth.urls")),
]
