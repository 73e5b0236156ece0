"""Addresses of the deployments API."""

from django.urls import path

from deployments.api import push, views

urlpatterns = [
    path("prepare", views.PrepareView.as_view(), name="deploy-prepare"),
    path("push", push.PushView.as_view(), name="deploy-push"),
    path("status", views.StatusView.as_view(), name="deploy-status"),
    path("logs", views.LogsView.as_view(), name="deploy-logs"),
    path("cancel", views.CancelView.as_view(), name="deploy-cancel"),
    path("builds", views.BuildsView.as_view(), name="deploy-builds"),
]
