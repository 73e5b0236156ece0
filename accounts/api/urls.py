"""Addresses of the login API."""

from django.urls import path

from accounts.api import keys, views

urlpatterns = [
    path("cli/session", views.StartView.as_view(), name="cli-login-start"),
    path("cli/check", views.CheckView.as_view(), name="cli-login-check"),
    path("logout", views.LogoutView.as_view(), name="logout"),
    path("validate-key", keys.ValidateView.as_view(), name="validate-key"),
]
