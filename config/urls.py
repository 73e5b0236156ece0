"""The addresses of the server."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from core import api_docs, error_pages, health

urlpatterns = [
    path("_/health", health.health, name="health"),
    path("_/ready", health.ready, name="ready"),
    path("admin", login_not_required(RedirectView.as_view(url="/admin/"))),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("integrations.urls")),
    path("", include("deployments.urls")),
    path("", include("clouddev.urls")),
    path("api/docs", api_docs.page, name="api-docs"),
    path("api/docs/openapi.json", api_docs.DocumentView.as_view(), name="openapi"),
]

handler400 = error_pages.bad_request
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = error_pages.crashed
