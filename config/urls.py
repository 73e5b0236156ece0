"""The addresses of the server."""

from django.contrib import admin
from django.urls import path

from config.core import health

urlpatterns = [
    path("_/health", health.health, name="health"),
    path("_/ready", health.ready, name="ready"),
    path("admin/", admin.site.urls),
]
