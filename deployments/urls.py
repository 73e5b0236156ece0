"""Addresses of the deployments API and pages."""

from django.urls import include, path
from django.views.generic import RedirectView

from core.actions import requires
from deployments import views

_BUILD = "deployments/<uuid:deployment_id>/builds/<uuid:build_id>"

urlpatterns = [
    path("api/deploy/", include("deployments.api.urls")),
    path("deployments", requires("deployments.view")(RedirectView.as_view(pattern_name="deployments"))),
    path("deployments/", views.deployments, name="deployments"),
    path("deployments/<uuid:deployment_id>/", views.deployment, name="deployment"),
    path("deployments/<uuid:deployment_id>/logs", views.logs, name="deployment-logs"),
    path("deployments/<uuid:deployment_id>/destroy", views.destroy, name="deployment-destroy"),
    path(_BUILD, views.build, name="build"),
    path(f"{_BUILD}/news", views.news, name="build-news"),
    path(f"{_BUILD}/cancel", views.cancel, name="build-cancel"),
    path(f"{_BUILD}/redeploy", views.redeploy, name="build-redeploy"),
]
