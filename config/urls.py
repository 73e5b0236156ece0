"""The addresses of the server."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from config.core import docs, health, pages

urlpatterns = [
    path("_/health", health.health, name="health"),
    path("_/ready", health.ready, name="ready"),
    path("admin", login_not_required(RedirectView.as_view(url="/admin/"))),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("integrations.urls")),
    path("", include("deployments.urls")),
    path("", include("clouddev.urls")),
    path("api/docs", docs.page, name="api-docs"),
    path("api/docs/openapi.json", docs.DocumentView.as_view(), name="openapi"),
]

handler400 = pages.bad_request
handler403 = pages.forbidden
handler404 = pages.not_found
handler500 = pages.crashed
