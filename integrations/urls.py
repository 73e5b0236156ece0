"""Addresses of the integrations API, of the page for connecting and of Nango's webhook."""

from django.urls import path

from integrations.api import views
from integrations.views import ConnectView

urlpatterns = [
    path("api/integrations", views.IntegrationsView.as_view(), name="integrations"),
    path("api/integrations/<str:integration_id>/connections", views.ConnectionsView.as_view(), name="connections"),
    path("api/credentials/<str:integration_id>", views.CredentialsView.as_view(), name="credentials"),
    path("api/nango/connect-session", views.ConnectSessionView.as_view(), name="connect-session"),
    path("api/connections/create", views.CreateView.as_view(), name="connection-create"),
    path("api/connections/delete", views.DeleteView.as_view(), name="connection-delete"),
    path("connect/", ConnectView.as_view(), name="connect"),
    path("webhooks/nango", views.NangoWebhookView.as_view(), name="nango-webhook"),
]
