"""Addresses of the accounts' pages. The names with underscores are those that allauth asks for."""

from django.urls import include, path
from django.views.generic import RedirectView

from accounts import github_provider, invitation_views, key_views, organization_views, views
from accounts.api import keys
from accounts.api.urls import organization_patterns
from core.actions import requires

_of_organization = [
    path("", organization_views.organization, name="organization"),
    path("switch", organization_views.switch, name="organization-switch"),
    path("rename", organization_views.rename, name="organization-rename"),
    path("members/<uuid:user_id>/role", organization_views.change_role, name="organization-member-role"),
    path("members/<uuid:user_id>/remove", organization_views.remove, name="organization-member-remove"),
    path("leave", organization_views.leave, name="organization-leave"),
    path("transfer", organization_views.transfer, name="organization-transfer"),
    path("delete", organization_views.delete, name="organization-delete"),
    path("invitations", organization_views.invite, name="organization-invite"),
    path("invitations/<uuid:invitation_id>/withdraw", organization_views.withdraw, name="organization-withdraw"),
]
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
    path("organizations", requires("orgs.view")(RedirectView.as_view(pattern_name="organizations"))),
    path("organizations/", organization_views.OrganizationsView.as_view(), name="organizations"),
    path("organizations/<slug:slug>/", include(_of_organization)),
    path("invitations/", invitation_views.invitation, name="invitation"),
    path("invitations/<uuid:invitation_id>/accept", invitation_views.accept, name="invitation-accept"),
    path("invitations/<uuid:invitation_id>/decline", invitation_views.decline, name="invitation-decline"),
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
    path("api/", include(organization_patterns)),
]
