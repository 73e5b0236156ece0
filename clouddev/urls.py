"""Addresses of the cloud dev API and pages."""

from django.urls import include, path

from clouddev import views

urlpatterns = [
    path("api/cloud-dev/", include("clouddev.api.urls")),
    path("api/cron/", include("clouddev.api.cron_urls")),
    path("auth/dev-ui", views.dev_ui, name="dev-ui"),
]
