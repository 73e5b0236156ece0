"""Addresses of the cloud dev API and pages."""

from django.urls import include, path
from django.views.generic import RedirectView

from clouddev import views
from clouddev.api import cron
from core.actions import requires

_WORKSPACE = "workspaces/<uuid:machine_id>/"

urlpatterns = [
    path("api/cloud-dev/", include("clouddev.api.urls")),
    path("api/cron/jobs", cron.JobsView.as_view(), name="cron-jobs"),
    path("api/cron/jobs/<uuid:job_id>", cron.JobView.as_view(), name="cron-job"),
    path("api/cron/jobs/<uuid:job_id>/runs", cron.RunsView.as_view(), name="cron-runs"),
    path("auth/dev-ui", views.dev_ui, name="dev-ui"),
    path("workspaces", requires("workspaces.view")(RedirectView.as_view(pattern_name="workspaces"))),
    path("workspaces/", views.workspaces, name="workspaces"),
    path("workspaces/states", views.states, name="workspace-states"),
    path("workspaces/offers/<uuid:offer_id>/accept", views.accept_offer, name="offer-accept"),
    path("workspaces/offers/<uuid:offer_id>/decline", views.decline_offer, name="offer-decline"),
    path("workspaces/offers/<uuid:offer_id>/withdraw", views.withdraw_offer, name="offer-withdraw"),
    path(_WORKSPACE, views.workspace, name="workspace"),
    path(f"{_WORKSPACE}start", views.start, name="workspace-start"),
    path(f"{_WORKSPACE}stop", views.stop, name="workspace-stop"),
    path(f"{_WORKSPACE}try-again", views.try_again, name="workspace-try-again"),
    path(f"{_WORKSPACE}keep-alive", views.keep_alive, name="workspace-keep-alive"),
    path(f"{_WORKSPACE}destroy", views.destroy, name="workspace-destroy"),
    path(f"{_WORKSPACE}members", views.add_member, name="workspace-members"),
    path(f"{_WORKSPACE}members/remove", views.remove_member, name="workspace-member-remove"),
    path(f"{_WORKSPACE}transfer", views.transfer, name="workspace-transfer"),
    path(f"{_WORKSPACE}tokens/<uuid:jti>/revoke", views.revoke_token, name="workspace-token-revoke"),
]
