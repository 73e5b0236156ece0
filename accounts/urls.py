"""Addresses of the accounts' pages. The names with underscores are those that allauth asks for."""

from django.urls import include, path

from accounts import github_provider, views

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
    path("account/browsers/<int:session_id>/end", views.end_browser, name="account-browser-end"),
    path("account/revoke-all", views.revoke_all, name="account-revoke-all"),
    path("api/auth/callback/github", github_provider.callback),
    # The last of the two is the one that is sent to GitHub.
    path("api/auth/github/callback", github_provider.callback, name="github_callback"),
    path("api/auth/", include("accounts.api.urls")),
]
