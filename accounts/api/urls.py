"""Addresses of the login API, and of organizations and invitations."""

from django.urls import path

from accounts.api import invitations, keys, organizations, verification, views

urlpatterns = [
    path("cli/session", views.StartView.as_view(), name="cli-login-start"),
    path("cli/check", views.CheckView.as_view(), name="cli-login-check"),
    path("logout", views.LogoutView.as_view(), name="logout"),
    path("validate-key", keys.ValidateView.as_view(), name="validate-key"),
    path("verify", verification.VerifyView.as_view(), name="verify"),
]

_ORG = "orgs/<str:slug>"
organization_patterns = [
    path("orgs", organizations.OrganizationsView.as_view(), name="api-organizations"),
    path(_ORG, organizations.OrganizationView.as_view(), name="api-organization"),
    path(f"{_ORG}/members", organizations.MembersView.as_view(), name="api-organization-members"),
    path(f"{_ORG}/members/<uuid:user_id>", organizations.MemberView.as_view(), name="api-organization-member"),
    path(f"{_ORG}/leave", organizations.LeaveView.as_view(), name="api-organization-leave"),
    path(f"{_ORG}/transfer", organizations.TransferView.as_view(), name="api-organization-transfer"),
    path(
        f"{_ORG}/invitations",
        invitations.OrganizationInvitationsView.as_view(),
        name="api-organization-invitations",
    ),
    path(
        f"{_ORG}/invitations/<uuid:invitation_id>",
        invitations.OrganizationInvitationView.as_view(),
        name="api-organization-invitation",
    ),
    path("invitations", invitations.InvitationsView.as_view(), name="api-invitations"),
    path("invitations/<uuid:invitation_id>/accept", invitations.AcceptView.as_view(), name="api-invitation-accept"),
    path("invitations/<uuid:invitation_id>/decline", invitations.DeclineView.as_view(), name="api-invitation-decline"),
]
